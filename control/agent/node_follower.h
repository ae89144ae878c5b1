/// Follows the node's addresses: node ports are on those it has, and pods leave with the first.
///
/// Shape:   check() asks the kernel and, when the addresses differ from what was told last, tells the switch what to
///          masquerade and the services where node ports are. The uplink stays that of the name at the start, and is
///          opened again when another interface has the name; with the key `nodeAddresses` the addresses stay, too, and
///          what follows is only which destinations see pods' own ones.
/// Errors:  none: with an uplink that is gone, the addresses stay as they were, and the log says so.
/// Thread:  one: that of the watch.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "control/agent/address_block.h"
#include "control/agent/services/keeper.h"
#include "control/agent/switch_client.h"
#include "control/agent/uplink.h"
#include "control/config/config.h"

namespace millrace::control::agent {

class NodeFollower {
 public:
  /// `node`: as it was told at the start.
  NodeFollower(config::Config config, NodeNetwork node, std::vector<AddressBlock> blocks, SwitchClient& the_switch,
               services::Keeper& services);
  void check();
  /// Who else is told of new addresses. Before the first check().
  void set_on_addresses(std::function<void(const std::vector<net::IpAddress>&)> told) { told_ = std::move(told); }

 private:
  void follow_uplink(const std::optional<Uplink>& now);

  config::Config config_;
  NodeNetwork node_;
  bool is_lost_ = false;            // said in the log
  bool is_uplink_refused_ = false;  // to be tried again
  const std::vector<AddressBlock> blocks_;
  SwitchClient& switch_;
  services::Keeper& services_;
  std::function<void(const std::vector<net::IpAddress>&)> told_;
};

}  // namespace millrace::control::agent
