#include "control/cli/flow_text.h"

#include <fmt/format.h>

#include "control/cli/message_json.h"
#include "control/cli/table.h"

namespace millrace::control::cli {

namespace {

constexpr std::uint32_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpv6 = 58, kSctp = 132;
constexpr std::size_t kIpv6Bytes = 16;

bool is_icmp(std::uint32_t protocol) { return protocol == kIcmp || protocol == kIcmpv6; }

std::string source_text(const api::Flow& flow, const api::FlowTuple& tuple) {
  return end_text(flow.protocol(), tuple.source(), tuple.source_port());
}

std::string destination_text(const api::Flow& flow, const api::FlowTuple& tuple) {
  if (is_icmp(flow.protocol())) return address_text(tuple.destination());
  return end_text(flow.protocol(), tuple.destination(), tuple.destination_port());
}

std::string key_of(const api::Flow& flow) {
  return fmt::format("{} {} {} {}", protocol_text(flow.protocol()), source_text(flow, flow.original()),
                     destination_text(flow, flow.original()), flow.worker());
}

bool has_changed(const api::Flow& a, const api::Flow& b) {
  return a.state() != b.state() || a.service() != b.service() || a.out_port() != b.out_port() ||
         translation_text(a) != translation_text(b);
}

}  // namespace

std::string protocol_text(std::uint32_t protocol) {
  switch (protocol) {
    case kIcmp: return "icmp";
    case kTcp: return "tcp";
    case kUdp: return "udp";
    case kIcmpv6: return "icmpv6";
    case kSctp: return "sctp";
    default: return std::to_string(protocol);
  }
}

std::string end_text(std::uint32_t protocol, const std::string& address, std::uint32_t port) {
  const bool has_port =
      protocol == kIcmp || protocol == kTcp || protocol == kUdp || protocol == kIcmpv6 || protocol == kSctp;
  const std::string text = address_text(address);
  if (!has_port) return text;
  return address.size() == kIpv6Bytes ? fmt::format("[{}]:{}", text, port) : fmt::format("{}:{}", text, port);
}

std::string translation_text(const api::Flow& flow) {
  const std::string source = source_text(flow, flow.translated());
  const std::string destination = destination_text(flow, flow.translated());
  std::string text;
  if (source != source_text(flow, flow.original())) text = fmt::format("from {}", source);
  if (destination != destination_text(flow, flow.original())) {
    text += fmt::format("{}to {}", text.empty() ? "" : ", ", destination);
  }
  return text;
}

std::string flow_table(const std::vector<api::Flow>& flows, bool wide) {
  const auto right = Table::Align::kRight;
  std::vector<Table::Column> columns = {{"PROTOCOL"},       {"SOURCE"},        {"DESTINATION"}, {"TRANSLATED"},
                                        {"STATE"},          {"SERVICE"},       {"AGE", right},  {"IDLE", right},
                                        {"PACKETS", right}, {"REPLIES", right}};
  if (wide) {
    for (const char* title : {"BYTES", "REPLY-BYTES", "EXPIRES", "WORKER"}) columns.push_back({title, right});
    columns.push_back({"OUT-PORT"});
  }
  Table table(columns);
  for (const api::Flow& flow : flows) {
    std::vector<std::string> cells = {protocol_text(flow.protocol()),
                                      source_text(flow, flow.original()),
                                      destination_text(flow, flow.original()),
                                      translation_text(flow),
                                      flow.state(),
                                      flow.service(),
                                      duration_text(flow.age_ms()),
                                      duration_text(flow.idle_ms()),
                                      std::to_string(flow.packets()),
                                      std::to_string(flow.reply_packets())};
    if (wide) {
      for (std::string cell : {std::to_string(flow.bytes()), std::to_string(flow.reply_bytes()),
                               duration_text(flow.expires_ms()), std::to_string(flow.worker()), flow.out_port()}) {
        cells.push_back(std::move(cell));
      }
    }
    table.add(std::move(cells));
  }
  return table.to_string();
}

FlowMap by_key(std::vector<api::Flow> flows) {
  FlowMap map;
  for (api::Flow& flow : flows) map.insert_or_assign(key_of(flow), std::move(flow));
  return map;
}

std::vector<FlowChange> changes(const FlowMap& before, const FlowMap& after) {
  std::map<std::string, FlowChange> found;
  for (const auto& [key, flow] : before) {
    if (!after.contains(key)) found.emplace(key, FlowChange{"ended", flow});
  }
  for (const auto& [key, flow] : after) {
    const auto known = before.find(key);
    if (known == before.end()) {
      found.emplace(key, FlowChange{"new", flow});
    } else if (has_changed(known->second, flow)) {
      found.emplace(key, FlowChange{"changed", flow});
    }
  }
  std::vector<FlowChange> list;
  for (auto& [key, change] : found) list.push_back(std::move(change));
  return list;
}

std::string change_line(const FlowChange& change) {
  const api::Flow& flow = change.flow;
  const std::string translation = translation_text(flow);
  return fmt::format("{:<8} {} {} > {}{} {}{}{}\n", change.event, protocol_text(flow.protocol()),
                     source_text(flow, flow.original()), destination_text(flow, flow.original()),
                     translation.empty() ? "" : fmt::format(" ({})", translation), flow.state(),
                     flow.service().empty() ? "" : " ", flow.service());
}

}  // namespace millrace::control::cli
