#include "control/agent/service_routes.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "control/agent/requests.h"

namespace millrace::control::agent {
namespace {

void warn(const net::Result<void>& result) {
  if (!result) spdlog::warn("services: the node's way to external addresses: {}", result.error().message);
}

}  // namespace

ServiceRoutes::ServiceRoutes(HostPort host) : host_(std::move(host)), table_(route_number(host_.name)) {}

void ServiceRoutes::start() {
  auto netlink = netlink::Netlink::open();
  if (!netlink) return warn(netlink.error());
  auto link = netlink->link(host_.name);
  if (!link) return warn(link.error());
  for (const AddressBlock& block : host_.blocks) {
    netlink::LinkRoute route = route_by_host_port(host_, net::Prefix::of(block.host(), 0));
    route.table = table_;
    warn(netlink->set_route(link->index, route));
  }
  auto left = netlink->port_rules(table_);
  if (!left) return warn(left.error());
  installed_.insert(left->begin(), left->end());
  touched_ = installed_;
}

ServiceRoutes::Rules ServiceRoutes::rules_of(const api::Service& service) const {
  Rules rules;
  for (const api::Frontend& frontend : service.frontends()) {
    const auto address = to_address("address", frontend.address());
    if (!address) continue;
    const bool is_routed =
        std::ranges::any_of(host_.services, [&](const net::Prefix& range) { return range.contains(*address); });
    const bool has_family =
        std::ranges::any_of(host_.blocks, [&](const AddressBlock& block) { return block.family() == address->family; });
    if (is_routed || !has_family) continue;
    rules.insert({.destination = *address,
                  .protocol = static_cast<std::uint8_t>(frontend.protocol()),
                  .port = static_cast<std::uint16_t>(frontend.port())});
  }
  return rules;
}

void ServiceRoutes::withdraw(const std::string& name) {
  const auto found = of_service_.find(name);
  if (found == of_service_.end()) return;
  for (const netlink::PortRule& rule : found->second) {
    touched_.insert(rule);
    const auto count = wanted_.find(rule);
    if (--count->second == 0) wanted_.erase(count);
  }
  of_service_.erase(found);
}

void ServiceRoutes::update(const std::vector<api::Service>& upserts, const std::vector<std::string>& removes) {
  for (const std::string& name : removes) withdraw(name);
  for (const api::Service& service : upserts) {
    Rules rules = rules_of(service);
    withdraw(service.name());
    if (rules.empty()) continue;
    for (const netlink::PortRule& rule : rules) {
      touched_.insert(rule);
      ++wanted_[rule];
    }
    of_service_[service.name()] = std::move(rules);
  }
  settle();
}

void ServiceRoutes::set_node_addresses(const std::vector<net::IpAddress>& addresses) {
  if (std::exchange(node_addresses_, {addresses.begin(), addresses.end()}) != node_addresses_) touch_all();
}

void ServiceRoutes::touch_all() {
  touched_ = installed_;
  for (const auto& [rule, count] : wanted_) touched_.insert(rule);
}

void ServiceRoutes::install(netlink::Netlink& netlink, const netlink::PortRule& rule) {
  if (installed_.size() < kMaxServiceRules) {
    auto added = netlink.add_port_rule(rule, table_);
    if (added) installed_.insert(rule);
    return warn(added);
  }
  if (std::exchange(is_full_, true)) return;
  spdlog::warn("services: the node itself reaches {} ports of external addresses; {} port {} and others are too many",
               kMaxServiceRules, rule.destination.to_string(), rule.port);
}

void ServiceRoutes::settle() {
  const auto differs = [&](const netlink::PortRule& rule) { return should_be(rule) != installed_.contains(rule); };
  std::erase_if(touched_, [&](const netlink::PortRule& rule) { return !differs(rule); });
  if (touched_.empty()) return;
  auto netlink = netlink::Netlink::open();
  if (!netlink) return warn(netlink.error());
  for (const netlink::PortRule& rule : touched_) {
    if (should_be(rule)) continue;
    warn(netlink->remove_port_rule(rule, table_));
    installed_.erase(rule);
  }
  if (is_full_ && installed_.size() < kMaxServiceRules) {
    is_full_ = false;
    touch_all();  // one of those that had no place has it now
  }
  for (const netlink::PortRule& rule : touched_) {
    if (should_be(rule) && !installed_.contains(rule)) install(*netlink, rule);
  }
  touched_.clear();
}

net::Result<void> remove_service_routes(const std::string& host_port) {
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  const std::uint32_t table = route_number(host_port);
  auto rules = netlink->port_rules(table);
  if (!rules) return rules.error();
  for (const netlink::PortRule& rule : *rules) {
    if (auto removed = netlink->remove_port_rule(rule, table); !removed) return removed;
  }
  return {};
}

}  // namespace millrace::control::agent
