#include "perf/gen/stream/profile_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "net/vxlan.h"
#include "net/wire.h"
#include "perf/gen/stream/field_program.h"
#include "perf/gen/stream/profile.h"

namespace millrace::perf::gen {
namespace {

template <typename Value, std::size_t count>
void choose(KeyReader& keys, const char* key, Value& target,
            const std::array<std::pair<std::string_view, Value>, count>& choices) {
  const auto given = keys.text(key);
  if (!given) return;
  std::string allowed;
  for (const auto& [name, value] : choices) {
    if (name == *given) {
      target = value;
      return;
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(name);
  }
  keys.refuse(key, *given, "one of " + allowed);
}

constexpr std::uint32_t kDefaultPorts = 60000;

FieldDescription counting(FieldName name, std::uint16_t first, std::uint32_t count) {
  FieldDescription field{
      .name = name, .mode = FieldMode::kIncrement, .first = {}, .count = count, .step = 1, .list = {}};
  field.first[2] = static_cast<std::uint8_t>(first >> 8);
  field.first[3] = static_cast<std::uint8_t>(first);
  return field;
}

bool is_mac(FieldName name) { return name == FieldName::kSourceMac || name == FieldName::kDestinationMac; }
bool is_ip(FieldName name) { return name == FieldName::kSourceIp || name == FieldName::kDestinationIp; }

std::optional<FieldValue> value_of(const StreamDescription& stream, FieldName name, const std::string& text) {
  FieldValue value{};
  if (is_mac(name)) {
    const auto mac = net::Mac::parse(text);
    if (!mac) return std::nullopt;
    std::ranges::copy(mac->bytes, value.begin());
    return value;
  }
  if (is_ip(name)) {
    const auto address = net::IpAddress::parse(text);
    if (!address || address->family != stream.source_ip.family) return std::nullopt;
    std::ranges::copy(address->raw(), value.begin());
    return value;
  }
  const auto number = whole_number(text);
  const std::uint64_t most = place_of(stream, name).most;
  if (!number || *number > most) return std::nullopt;
  for (int i = 0; i < 4; ++i) value[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(*number >> (24 - 8 * i));
  return value;
}

std::string allowed_values(const StreamDescription& stream, FieldName name) {
  if (is_mac(name)) return "a MAC address";
  if (is_ip(name)) return stream.source_ip.is_v4() ? "an IPv4 address" : "an IPv6 address";
  return fmt::format("0 to {}", place_of(stream, name).most);
}

void read_list(KeyReader& keys, const StreamDescription& stream, FieldDescription& field) {
  const YAML::Node list = keys.node("list");
  if (!keys.ok()) return;
  if (!list.IsDefined() || !list.IsSequence() || list.size() == 0 || list.size() > kMaxListValues) {
    keys.fail(net::invalid_argument(fmt::format("{}: a list of 1 to {} values", keys.path_of("list"), kMaxListValues)));
    return;
  }
  for (const YAML::Node& entry : list) {
    const std::string text = entry.IsScalar() ? entry.Scalar() : "(not one value)";
    const auto value = value_of(stream, field.name, text);
    if (!value) return keys.refuse("list", text, allowed_values(stream, field.name));
    field.list.push_back(*value);
  }
}

FieldDescription read_field(KeyReader& keys, const StreamDescription& stream) {
  using enum FieldName;
  static constexpr std::array<std::pair<std::string_view, FieldName>, 10> kNames = {
      {{"source-mac", kSourceMac},
       {"destination-mac", kDestinationMac},
       {"vlan", kVlan},
       {"source-ip", kSourceIp},
       {"destination-ip", kDestinationIp},
       {"source-port", kSourcePort},
       {"destination-port", kDestinationPort},
       {"ttl", kTtl},
       {"dscp", kDscp},
       {"vni", kVni}}};
  static constexpr std::array<std::pair<std::string_view, FieldMode>, 3> kModes = {
      {{"increment", FieldMode::kIncrement}, {"random", FieldMode::kRandom}, {"list", FieldMode::kList}}};
  FieldDescription field;
  if (!keys.has("field")) keys.fail(net::invalid_argument(keys.path_of("field") + ": which field is needed"));
  choose(keys, "field", field.name, kNames);
  choose(keys, "mode", field.mode, kModes);
  if (!keys.ok()) return field;
  if (place_of(stream, field.name).bytes == 0) {
    keys.refuse("field", to_string(field.name), "the stream's packets have none");
    return field;
  }
  if (field.mode == FieldMode::kList) {
    read_list(keys, stream, field);
    return field;
  }
  if (const auto first = keys.text("first")) {
    const auto value = value_of(stream, field.name, *first);
    if (value) field.first = *value;
    if (!value) keys.refuse("first", *first, allowed_values(stream, field.name));
  } else if (keys.ok()) {
    keys.fail(net::invalid_argument(keys.path_of("first") + ": the first value is needed"));
  }
  keys.number("count", field.count, 1, UINT32_MAX);
  keys.number("step", field.step, 1, UINT32_MAX);
  return field;
}

}  // namespace

void add_default_fields(StreamDescription& stream) {
  if (stream.flows <= 1) return;
  const std::uint32_t room = 65536u - stream.source_port;
  const std::uint32_t ports = std::min({stream.flows, kDefaultPorts, room});
  stream.fields.push_back(counting(FieldName::kSourcePort, stream.source_port, ports));
  if (ports == stream.flows) return;
  if (stream.protocol == Protocol::kIcmp) return;  // check_flows says how few there are
  const std::uint32_t rounds = (stream.flows + ports - 1) / ports;
  stream.fields.push_back(counting(FieldName::kDestinationPort, stream.destination_port, rounds));
}

void read_protocol(KeyReader& keys, Protocol& protocol) {
  static constexpr std::array<std::pair<std::string_view, Protocol>, 4> kChoices = {
      {{"udp", Protocol::kUdp}, {"tcp", Protocol::kTcp}, {"sctp", Protocol::kSctp}, {"icmp", Protocol::kIcmp}}};
  choose(keys, "protocol", protocol, kChoices);
}

void read_tcp_flags(KeyReader& keys, StreamDescription& stream) {
  stream.tcp_flags = net::TcpHeader::kAck;
  const auto given = keys.text("tcp-flags");
  if (!given) return;
  static constexpr std::string_view kLetters = "FSRPAU";
  stream.tcp_flags = 0;
  for (const char letter : *given) {
    const auto bit = kLetters.find(letter);
    if (bit == std::string_view::npos) return keys.refuse("tcp-flags", *given, "letters of F, S, R, P, A, U");
    stream.tcp_flags = static_cast<std::uint8_t>(stream.tcp_flags | 1u << bit);
  }
}

void read_vlans(KeyReader& keys, std::vector<Vlan>& vlans) {
  const YAML::Node given = keys.node("vlan");
  if (!given.IsDefined()) return;
  const auto add = [&](const YAML::Node& entry, const std::string& path) {
    YAML::Node mapping = entry.IsScalar() ? YAML::Node(YAML::NodeType::Map) : entry;
    if (entry.IsScalar()) mapping["id"] = entry.Scalar();
    KeyReader tag(mapping, path);
    Vlan vlan;
    tag.number("id", vlan.id, 0, 4094);
    tag.number("priority", vlan.priority, 0, 7);
    if (auto finished = tag.finish(); !finished) keys.fail(finished.error());
    vlans.push_back(vlan);
  };
  if (!given.IsSequence()) return add(given, keys.path_of("vlan"));
  if (given.size() > 2) return keys.fail(net::invalid_argument(keys.path_of("vlan") + ": at most two tags"));
  for (std::size_t i = 0; i < given.size(); ++i) add(given[i], fmt::format("{}[{}]", keys.path_of("vlan"), i));
}

void read_tunnel(KeyReader& keys, std::optional<VxlanDescription>& tunnel) {
  const YAML::Node given = keys.node("vxlan");
  if (!given.IsDefined()) return;
  KeyReader inner(given, keys.path_of("vxlan"));
  VxlanDescription read;
  net::IpAddress source, destination;
  inner.number("vni", read.vni, 0, net::kMaxVni);
  inner.number("port", read.udp_port, 1, 65535);
  for (const char* key : {"source-mac", "destination-mac", "source-ip", "destination-ip"}) {
    if (!inner.has(key)) inner.fail(net::invalid_argument(inner.path_of(key) + ": it is needed"));
  }
  inner.mac("source-mac", read.source_mac);
  inner.mac("destination-mac", read.destination_mac);
  inner.address("source-ip", source);
  inner.address("destination-ip", destination);
  if (source.family != destination.family) {
    inner.refuse("destination-ip", destination.to_string(), "of the family of source-ip");
  }
  if (auto finished = inner.finish(); !finished) return keys.fail(finished.error());
  read.source = source;
  read.destination = destination;
  tunnel = read;
}

void read_sizes(KeyReader& keys, std::vector<SizeShare>& sizes) {
  const YAML::Node given = keys.node("size");
  sizes = {{.bytes = 64, .weight = 1}};
  if (!given.IsDefined()) return;
  if (given.IsScalar() && given.Scalar() == "imix") {
    sizes = {{60, 7}, {590, 4}, {1514, 1}};  // 64, 594 and 1518 with FCS
  } else if (given.IsScalar()) {
    keys.number("size", sizes[0].bytes, kMinFrameBytes, kMaxFrameBytes);
  } else if (given.IsSequence()) {
    sizes.clear();
    for (std::size_t i = 0; i < given.size(); ++i) {
      KeyReader entry(given[i], fmt::format("{}[{}]", keys.path_of("size"), i));
      SizeShare share;
      entry.number("bytes", share.bytes, kMinFrameBytes, kMaxFrameBytes);
      entry.number("weight", share.weight, 1, kMaxSizeWeights);
      if (auto finished = entry.finish(); !finished) return keys.fail(finished.error());
      sizes.push_back(share);
    }
  } else {
    keys.fail(net::invalid_argument(keys.path_of("size") + ": bytes, imix, or a list of {bytes, weight}"));
  }
}

void read_order(KeyReader& keys, FlowOrder& order) {
  static constexpr std::array<std::pair<std::string_view, FlowOrder>, 4> kChoices = {
      {{"in-turn", FlowOrder::kInTurn},
       {"shuffled", FlowOrder::kShuffled},
       {"random", FlowOrder::kRandom},
       {"zipf", FlowOrder::kZipf}}};
  choose(keys, "order", order, kChoices);
}

void read_fields(KeyReader& keys, StreamDescription& stream) {
  const YAML::Node given = keys.node("fields");
  if (!keys.ok()) return;
  if (!given.IsDefined()) {
    add_default_fields(stream);
    return;
  }
  if (!given.IsSequence() || given.size() > kMaxFields) {
    return keys.fail(
        net::invalid_argument(fmt::format("{}: a list of at most {}", keys.path_of("fields"), kMaxFields)));
  }
  stream.own_fields = true;
  std::uint64_t product = 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    KeyReader entry(given[i], fmt::format("{}[{}]", keys.path_of("fields"), i));
    const FieldDescription field = read_field(entry, stream);
    if (auto finished = entry.finish(); !finished) return keys.fail(finished.error());
    product = std::min<std::uint64_t>(product * (field.list.empty() ? field.count : field.list.size()), UINT32_MAX);
    stream.fields.push_back(field);
  }
  if (keys.has("flows")) return;
  if (product > kMaxFlows) {
    return keys.fail(net::invalid_argument(fmt::format("{}: they make {} flows; at most {}, or say how many by flows",
                                                       keys.path_of("fields"), product, kMaxFlows)));
  }
  stream.flows = static_cast<std::uint32_t>(product);
}

}  // namespace millrace::perf::gen
