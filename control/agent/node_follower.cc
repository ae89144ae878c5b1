#include "control/agent/node_follower.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <string>
#include <utility>

namespace millrace::control::agent {
namespace {

std::string text_of(const std::vector<net::IpAddress>& addresses) {
  std::string text;
  for (const net::IpAddress& address : addresses) text += (text.empty() ? "" : ", ") + address.to_string();
  return text.empty() ? "none" : text;
}

}  // namespace

NodeFollower::NodeFollower(config::Config config, NodeNetwork node, std::vector<AddressBlock> blocks,
                           SwitchClient& the_switch, services::Keeper& services)
    : config_(std::move(config)),
      node_(std::move(node)),
      blocks_(std::move(blocks)),
      switch_(the_switch),
      services_(services) {
  // `auto` was decided at the start: a default route that is gone for a moment is no other uplink.
  config_.uplink = node_.uplink ? node_.uplink->interface : "";
}

void NodeFollower::follow_uplink(const std::optional<Uplink>& now) {
  if (!now || (now == node_.uplink && !is_uplink_refused_)) return;
  is_uplink_refused_ = false;
  for (const api::PortSpec& port : uplink_ports(config_, *now)) {
    const auto told = switch_.replace_port(port);
    if (told || told.error().code == net::ErrorCode::kUnavailable) continue;
    is_uplink_refused_ = true;
    spdlog::warn("uplink {}: {}", now->interface, told.error().message);
  }
  if (is_uplink_refused_) return;
  spdlog::info("uplink {} is now interface {}, {}, MTU {}", now->interface, now->index, now->mac.to_string(), now->mtu);
}

void NodeFollower::check() {
  if (config_.uplink.empty()) return;
  auto now = find_node_network(config_);
  if (!now) {
    if (!std::exchange(is_lost_, true)) spdlog::warn("node addresses stay as they were: {}", now.error().message);
    return;
  }
  is_lost_ = false;
  follow_uplink(now->uplink);
  const bool is_readdressed = now->addresses != node_.addresses;
  const bool is_same = !is_readdressed && now->local == node_.local;
  node_ = *std::move(now);
  if (is_same) return;
  if (is_readdressed) spdlog::info("node addresses are now {}", text_of(node_.addresses));
  auto told = switch_.update_nat(nat_of(config_, node_, blocks_));
  if (!told && told.error().code != net::ErrorCode::kUnavailable) {
    spdlog::warn("node addresses: {}", told.error().message);
  }
  if (!is_readdressed) return;
  services_.set_node_addresses(node_.addresses);
  if (told_) told_(node_.addresses);
}

}  // namespace millrace::control::agent
