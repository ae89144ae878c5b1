#include "control/agent/cluster/records.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace millrace::control::agent::cluster {
namespace {

using Json = nlohmann::json;

/// Reads with `read`, which throws on a field that is missing or of another type.
template <typename Record, typename Read>
std::optional<Record> parsed(std::string_view text, const Read& read) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  try {
    return read(json);
  } catch (const Json::exception&) { return std::nullopt; }
}

/// What a tunnel can lead to, and a packet come from.
bool is_of_a_node(const net::IpAddress& address) {
  if (address.is_v4()) {
    const net::Ipv4 v4 = address.v4();
    return !v4.is_unspecified() && !v4.is_loopback() && !v4.is_multicast() && !v4.is_broadcast();
  }
  const net::Ipv6 v6 = address.v6();
  return !v6.is_unspecified() && !v6.is_loopback() && !v6.is_multicast() && !v6.is_link_local();
}

std::string text_of(const std::optional<net::Prefix>& prefix) { return prefix ? prefix->to_string() : "none"; }

void add_pool(ConfigRecord& record, const std::string& family, const std::optional<config::AddressPool>& pool) {
  record["ipam." + family + ".pool"] = pool ? pool->prefix.to_string() : "none";
  if (pool) record["ipam." + family + ".blockLength"] = fmt::format("{}", pool->block_bits);
}

}  // namespace

const char* to_text(config::Encapsulation encapsulation) {
  switch (encapsulation) {
    case config::Encapsulation::kVxlan: return "vxlan";
    case config::Encapsulation::kCrossSubnet: return "crossSubnet";
    case config::Encapsulation::kNone: return "none";
  }
  return "";
}

std::string print(const NodeRecord& record) {
  Json addresses = Json::array();
  for (const net::IpAddress& address : record.addresses) addresses.push_back(address.to_string());
  return Json{{"name", record.name},         {"addresses", addresses}, {"vtepMac", record.vtep_mac.to_string()},
              {"instance", record.instance}, {"epoch", record.epoch},  {"version", record.version}}
      .dump();
}

std::string print(const BlockRecord& record) {
  return Json{{"node", record.node},
              {"instance", record.instance},
              {"state", record.state == BlockState::kHeld ? "held" : "empty"}}
      .dump();
}

std::string print(const ConfigRecord& record) { return Json(record).dump(); }

std::optional<NodeRecord> parse_node(std::string_view text) {
  return parsed<NodeRecord>(text, [](const Json& json) -> std::optional<NodeRecord> {
    NodeRecord record;
    record.name = json.at("name").get<std::string>();
    record.instance = json.at("instance").get<std::string>();
    record.epoch = json.at("epoch").get<std::uint64_t>();
    record.version = json.at("version").get<std::string>();
    const auto mac = net::Mac::parse(json.at("vtepMac").get<std::string>());
    if (!mac || mac->is_multicast() || *mac == net::Mac()) return std::nullopt;
    record.vtep_mac = *mac;
    for (const Json& item : json.at("addresses")) {
      const auto address = net::IpAddress::parse(item.get<std::string>());
      if (!address || !is_of_a_node(*address)) return std::nullopt;
      record.addresses.push_back(*address);
    }
    return record;
  });
}

std::optional<BlockRecord> parse_block(std::string_view text) {
  return parsed<BlockRecord>(text, [](const Json& json) -> std::optional<BlockRecord> {
    BlockRecord record;
    record.node = json.at("node").get<std::string>();
    record.instance = json.at("instance").get<std::string>();
    const std::string state = json.at("state").get<std::string>();
    if (state != "held" && state != "empty") return std::nullopt;
    record.state = state == "held" ? BlockState::kHeld : BlockState::kEmpty;
    return record;
  });
}

std::optional<ConfigRecord> parse_config(std::string_view text) {
  return parsed<ConfigRecord>(text,
                              [](const Json& json) -> std::optional<ConfigRecord> { return json.get<ConfigRecord>(); });
}

ConfigRecord config_record(const config::Config& config) {
  ConfigRecord record;
  add_pool(record, "ipv4", config.ipam.ipv4);
  add_pool(record, "ipv6", config.ipam.ipv6);
  record["services.ipv4"] = text_of(config.services.ipv4);
  record["services.ipv6"] = text_of(config.services.ipv6);
  record["services.nodePortRange"] =
      fmt::format("{}-{}", config.services.node_port_first, config.services.node_port_last);
  record["encapsulation"] = to_text(config.encapsulation);
  record["vxlan.vni"] = fmt::format("{}", config.vxlan.vni);
  record["vxlan.port"] = fmt::format("{}", config.vxlan.port);
  return record;
}

std::string difference(const ConfigRecord& here, const ConfigRecord& cluster) {
  const auto value = [](const ConfigRecord& record, const std::string& key) {
    const auto found = record.find(key);
    return found == record.end() ? std::string("none") : found->second;
  };
  ConfigRecord keys = here;
  keys.insert(cluster.begin(), cluster.end());
  // The pool before the length of its blocks, which means nothing without it.
  for (const bool is_pool : {true, false}) {
    for (const auto& [key, ignored] : keys) {
      if (key.ends_with(".pool") != is_pool || value(here, key) == value(cluster, key)) continue;
      return fmt::format("{}: {} here, {} in the cluster", key, value(here, key), value(cluster, key));
    }
  }
  return "";
}

}  // namespace millrace::control::agent::cluster
