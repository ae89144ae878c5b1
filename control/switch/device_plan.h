/// DevicePlan: which open device each desired port will have.
///
/// Shape:   a device belongs to an interface and stays with its worker. A port whose interface is open already, under
///          whatever name, takes that device over, so that no packet is lost; dead devices are not taken over. An
///          uplink is opened in another way than pods and the host port: an interface does not change between these.
///          An uplink may have several queues, each polled by one worker.
/// Errors:  a device that cannot be opened becomes a failure of its port; the caller decides what that means.
/// Thread:  any control thread; a plan's devices belong to its caller until they are in force. A device in no LivePort
///          and no plan any more is closed by its destructor, which must not happen before every worker has passed the
///          snapshots that name it.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/switch/desired_state.h"
#include "control/switch/port_opener.h"
#include "datapath/snapshot.h"
#include "net/packet.h"

namespace millrace::control::switchd {

/// An open interface and the workers that poll its queues.
struct Device {
  OpenPort open;
  std::vector<datapath::WorkerId> workers;  // by queue; none before it is planned
  bool death_told = false;
  std::uint64_t losses_told = 0;  // of its guests' memory
};

/// A port in force: in the snapshot that was published last.
struct LivePort {
  PortConfig config;
  std::vector<net::PortId> ids;  // by queue of its device: to the workers each is a port
  std::shared_ptr<Device> device;
  PortRules rules = {};

  net::PortId id() const noexcept { return ids.front(); }
  /// Of the other side; of an uplink what the wire knows the node by.
  const net::Mac& mac() const noexcept { return device->open.mac ? *device->open.mac : config.mac; }
};
using LivePorts = std::map<std::string, LivePort>;

struct DevicePlan {
  std::map<std::string, std::shared_ptr<Device>> devices;    // by port name
  std::vector<std::pair<std::string, net::Error>> failures;  // ports that have none, by name

  std::size_t queue_count() const {
    std::size_t count = 0;
    for (const auto& [name, device] : devices) count += device->open.queues.size();
    return count;
  }
};

/// What was opened for a request, by interface. A device has no worker before it is planned.
using OpenedDevices = std::map<std::string, net::Result<std::shared_ptr<Device>>>;

/// Interfaces that ports of `desired` have and none of `live`.
std::vector<PortRequest> missing_interfaces(const DesiredState& desired, const DesiredState& live);
/// Opens `interfaces`, several at once; kUnavailable for those that were not begun when `stopping` became true.
OpenedDevices open_devices(const std::vector<PortRequest>& interfaces, PortOpener& opener,
                           const std::atomic<bool>& stopping);
/// Devices of `alive` and `opened` for the desired ports; one that is in neither is opened here. A new device goes to
/// the worker that has the fewest queues; of an uplink with several, queue q to worker q modulo their number.
DevicePlan plan_devices(const DesiredState& desired, const LivePorts& alive, OpenedDevices& opened, PortOpener& opener,
                        unsigned worker_count);
/// Lets go of `devices`. Those that nobody else has are closed, several at once.
void close_devices(std::vector<std::shared_ptr<Device>> devices);

}  // namespace millrace::control::switchd
