/// PortOpener: how the switch gets the device of an interface. Production: device_opener.h; tests: in-memory ports.
///
/// Thread:  any control thread, several at once: one may open while another does or while a port is closed. Two at once
///          never open the same interface. `inspect` and `is_dead` also while a worker polls the port.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datapath/port.h"
#include "datapath/snapshot.h"
#include "datapath/uplink_rules.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::control::switchd {

/// A guest's socket, in place of an interface; its path stands where an interface's name does. No name has a '/' in it.
struct VhostSocket {
  bool is_client = false;    // of the switch: the guest listens
  unsigned queue_pairs = 0;  // that a guest is served by
  friend bool operator==(const VhostSocket&, const VhostSocket&) = default;
};

/// A guest's side of its socket, as it is now.
struct VhostGuest {
  bool is_connected = false;
  unsigned queue_pairs = 0;  // by which it takes packets
  bool has_packed_rings = false;
  bool has_lost_memory = false;     // took back what it lent: served again when it has connected anew
  std::uint64_t memory_losses = 0;  // of all guests since the socket was opened
  std::uint64_t refusals = 0;       // messages, and guests that kept the switch waiting; of all since then
};

struct DeviceStatus {
  std::string xdp_mode;                  // "native" | "generic"
  bool dead = false;                     // the interface is gone, or another one has its name now
  std::uint64_t kernel_dropped = 0;      // packets lost before the switch took them
  std::optional<VhostGuest> guest = {};  // of a vhost-user socket
};

/// An interface to open, and as what.
struct PortRequest {
  std::string interface;  // or the path of the socket of `vhost`
  datapath::PortKind kind = datapath::PortKind::kPod;
  std::string device = {};  // an uplink's that DPDK drives; its `interface` is the node's end of the node link
  std::optional<VhostSocket> vhost = {};
};

/// An open device, and the kernel's number of the interface: its name may be given to another interface.
struct OpenPort {
  std::vector<std::unique_ptr<datapath::Port>> queues;  // one, or an uplink's by number
  std::string interface;
  unsigned interface_number = 0;
  datapath::PortKind kind = datapath::PortKind::kPod;  // the kind it was opened as
  std::string device = {};                             // as in the request
  std::optional<VhostSocket> vhost = {};               // so is this; the socket has no interface_number
  std::optional<net::Mac> mac = {};                    // of `device`: what the wire knows the node by
};

class PortOpener {
 public:
  virtual ~PortOpener() = default;
  /// Errors:  kNotFound when there is no such interface; kFailedPrecondition, kResourceExhausted with why.
  virtual net::Result<OpenPort> open(const PortRequest& request) = 0;
  /// Of a port that `open` returned.
  virtual DeviceStatus inspect(const OpenPort& open) const = 0;
  /// From now on uplinks take what `rules` name, besides the frontends they took before: what a snapshot serves is
  /// taken before it is published. One call at a time, of this and the next.
  virtual net::Result<void> widen_uplinks(const datapath::UplinkRules& rules) = 0;
  /// They take nothing else any more: no worker has an earlier snapshot. After widen_uplinks of the same rules.
  virtual net::Result<void> narrow_uplinks(const datapath::UplinkRules& rules) = 0;
  /// `inspect(open).dead` alone: each Apply asks it of every port.
  virtual bool is_dead(const OpenPort& open) const = 0;
};

}  // namespace millrace::control::switchd
