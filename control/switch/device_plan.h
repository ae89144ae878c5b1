/// DevicePlan: which open device each desired port will have.
///
/// Shape:   a device belongs to an interface and stays with its worker. A port whose interface is open already, under
///          whatever name, takes that device over, so that no packet is lost; dead devices are not taken over.
/// Errors:  a device that cannot be opened becomes a failure of its port; the caller decides what that means.
/// Thread:  the control thread that applies. A device in no LivePort and no plan any more is closed by its destructor,
///          which must not happen before every worker has passed the snapshots that name it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/switch/desired_state.h"
#include "control/switch/port_opener.h"
#include "datapath/snapshot.h"
#include "net/packet.h"

namespace millrace::control::switchd {

/// An open interface and the worker that polls it.
struct Device {
  OpenPort open;
  datapath::WorkerId worker = 0;
  bool death_told = false;
};

/// A port in force: in the snapshot that was published last.
struct LivePort {
  PortConfig config;
  net::PortId id = net::kNoPort;
  std::shared_ptr<Device> device;
};
using LivePorts = std::map<std::string, LivePort>;

struct DevicePlan {
  std::map<std::string, std::shared_ptr<Device>> devices;    // by port name
  std::vector<std::pair<std::string, net::Error>> failures;  // ports that have none, by name
};

/// Opens what is not open. New devices go to the worker that has the fewest.
DevicePlan plan_devices(const DesiredState& desired, const LivePorts& live, PortOpener& opener, unsigned worker_count);

}  // namespace millrace::control::switchd
