#include "control/agent/services/node_port_table.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>
#include <variant>

#include "control/agent/nftables.h"
#include "control/agent/services/compile.h"

namespace millrace::control::agent::services {
namespace {

std::string table_of(const std::string& host_port) { return "millrace-" + host_port; }

std::string_view name_of(std::uint8_t family) { return family == 4 ? "ip" : "ip6"; }

/// Protocols are numbers: names would need /etc/protocols.
std::string elements_of(const NodePortRows& rows) {
  std::string text;
  for (const auto& [from, to] : rows) {
    fmt::format_to(std::back_inserter(text), "{}{} . {} : {} . {}", text.empty() ? "" : ", ", from.protocol, from.port,
                   to.address.to_string(), to.port);
  }
  return text;
}

/// An error is no answer here: without nftables there is no table.
bool is_there(const std::string& table, std::uint8_t family) {
  return run_nftables(fmt::format("list table {} {}", name_of(family), table)).ok();
}

net::Result<void> remove(const std::string& table, std::uint8_t family) {
  if (!is_there(table, family)) return {};
  return run_nftables(fmt::format("delete table {} {}", name_of(family), table));
}

}  // namespace

NodePortRows node_port_rows(const kube::Service& service, std::uint8_t family, const std::vector<net::Prefix>& ranges) {
  NodePortRows rows;
  if (!is_proxied(service) || !service.has_node_ports()) return rows;
  const auto is_ours = [&](const net::IpAddress& address) {
    return address.family == family &&
           std::ranges::any_of(ranges, [&](const net::Prefix& range) { return range.contains(address); });
  };
  const auto cluster_ip = std::ranges::find_if(service.cluster_ips, is_ours);
  if (cluster_ip == service.cluster_ips.end()) return rows;
  for (const kube::ServicePort& port : service.ports) {
    if (port.node_port != 0) rows[{number_of(port.protocol), port.node_port}] = {*cluster_ip, port.port};
  }
  return rows;
}

std::string node_port_table_commands(const std::string& table, std::uint8_t family, const NodePortRows& rows) {
  const std::string_view own = family == 4 ? "{ 127.0.0.0/8, 169.254.0.0/16 }" : "{ ::1, fe80::/10 }";
  // Made before it is deleted, so that deleting one that is not there is no error.
  return fmt::format(
      "add table {0} {1}\n"
      "delete table {0} {1}\n"
      "table {0} {1} {{\n"
      "  map ports {{\n"
      "    type inet_proto . inet_service : {2} . inet_service\n"
      "    elements = {{ {3} }}\n"
      "  }}\n"
      "  chain output {{\n"
      "    type nat hook output priority -100; policy accept;\n"  // dstnat, a name that nft has for prerouting alone
      "    {0} daddr != {4} fib daddr type local dnat {0} to meta l4proto . th dport map @ports\n"
      "  }}\n"
      "}}\n",
      name_of(family), table, family == 4 ? "ipv4_addr" : "ipv6_addr", elements_of(rows), own);
}

std::string node_port_rows_commands(const std::string& table, std::uint8_t family, const NodePortRows& rows) {
  return fmt::format(
      "flush map {0} {1} ports\n"
      "add element {0} {1} ports {{ {2} }}\n",
      name_of(family), table, elements_of(rows));
}

NodePortTable::NodePortTable(const std::string& host_port, std::vector<net::Prefix> ranges)
    : table_(table_of(host_port)), ranges_(std::move(ranges)) {
  families_[1].number = 6;
}

void NodePortTable::note(const ObjectChange& change) {
  if (change.key.kind != kube::Kind::kService) return;
  const auto* service = change.after ? std::get_if<kube::Service>(change.after.get()) : nullptr;
  for (Family& family : families_) {
    NodePortRows rows = service != nullptr ? node_port_rows(*service, family.number, ranges_) : NodePortRows();
    const auto before = family.of_service.find(change.key);
    if (before == family.of_service.end() ? rows.empty() : rows == before->second) continue;
    family.is_touched = true;
    if (rows.empty()) {
      family.of_service.erase(before);
    } else {
      family.of_service[change.key] = std::move(rows);
    }
  }
}

void NodePortTable::settle() {
  for (Family& family : families_) {
    if (std::exchange(family.is_touched, false)) settle(family);
  }
}

void NodePortTable::settle(Family& family) {
  NodePortRows rows;
  for (const auto& [key, more] : family.of_service) rows.insert(more.begin(), more.end());
  net::Result<void> done;
  if (rows.empty()) {
    done = remove(table_, family.number);
  } else {
    // Somebody may have flushed the node's rule set: then the table is made anew.
    const bool is_done = family.is_there && run_nftables(node_port_rows_commands(table_, family.number, rows)).ok();
    if (!is_done) done = run_nftables(node_port_table_commands(table_, family.number, rows));
  }
  family.is_there = done && !rows.empty();
  if (done || std::exchange(has_warned_, true)) return;
  spdlog::warn("services.nodePortsFromNode: the node does not reach its own node ports: {}", done.error().message);
}

net::Result<void> remove_node_port_tables(const std::string& host_port) {
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    if (auto removed = remove(table_of(host_port), family); !removed) return removed;
  }
  return {};
}

}  // namespace millrace::control::agent::services
