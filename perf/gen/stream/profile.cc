#include "perf/gen/stream/profile.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "perf/gen/stream/key_reader.h"
#include "perf/gen/stream/profile_parts.h"

namespace millrace::perf::gen {
namespace {

constexpr double kMostPacketsPerSecond = 1e9, kMostBitsPerSecond = 1e12;

void read_headers(KeyReader& keys, StreamDescription& stream) {
  stream.source_mac = net::Mac{{0x02, 0, 0, 0, 0, 0x01}};
  stream.destination_mac = net::Mac{{0x02, 0, 0, 0, 0, 0x02}};
  stream.source_ip = net::IpAddress::from(net::Ipv4::from_host(0xc6120001));  // 198.18.0.1, RFC 2544 appendix C.2.2
  stream.destination_ip = net::IpAddress::from(net::Ipv4::from_host(0xc6130001));  // 198.19.0.1
  keys.mac("source-mac", stream.source_mac);
  keys.mac("destination-mac", stream.destination_mac);
  keys.address("source-ip", stream.source_ip);
  keys.address("destination-ip", stream.destination_ip);
  if (stream.source_ip.family != stream.destination_ip.family) {
    keys.refuse("destination-ip", stream.destination_ip.to_string(), "of the family of source-ip");
  }
  keys.number("source-port", stream.source_port, 0, 65535);
  keys.number("destination-port", stream.destination_port, 0, 65535);
  keys.number("ttl", stream.ttl, 1, 255);
  keys.number("dscp", stream.dscp, 0, 63);
  read_protocol(keys, stream.protocol);
  read_tcp_flags(keys, stream);
  read_vlans(keys, stream.vlans);
  read_tunnel(keys, stream.vxlan);
}

void read_traffic(KeyReader& keys, StreamDescription& stream) {
  read_sizes(keys, stream.sizes);
  if (const auto text = keys.text("rate")) {
    const auto rate = parse_rate(*text);
    if (rate) {
      stream.rate = *rate;
    } else {
      keys.fail(net::invalid_argument(fmt::format("{}", keys.path_of(rate.error().message))));
    }
  }
  keys.number("burst", stream.burst, 1, kMaxBurst);
  keys.number("flows", stream.flows, 1, kMaxFlows);
  keys.number("seed", stream.seed, 0, UINT64_MAX);
  keys.real("zipf-exponent", stream.zipf_exponent, 0.01, 10);
  read_order(keys, stream.order);
  read_fields(keys, stream);
}

}  // namespace

net::Result<Rate> parse_rate(const std::string& text) {
  if (text == "max") return Rate{};
  std::string_view unit;
  const auto value = scaled_number(text, unit);
  const auto refused = [&](std::string_view allowed) {
    return net::invalid_argument(fmt::format("rate {}: {}", text, allowed));
  };
  if (!value || *value <= 0) return refused("a positive number with pps, bps (k, M, G in front) or %, or max");
  if (unit == "pps") {
    if (*value > kMostPacketsPerSecond) return refused("at most 1Gpps");
    return Rate{Rate::Unit::kPacketsPerSecond, *value};
  }
  if (unit == "bps") {
    if (*value > kMostBitsPerSecond) return refused("at most 1000Gbps");
    return Rate{Rate::Unit::kBitsPerSecond, *value};
  }
  if (unit == "%") {
    if (*value > 100) return refused("at most 100%");
    return Rate{Rate::Unit::kPercent, *value};
  }
  return refused("a positive number with pps, bps (k, M, G in front) or %, or max");
}

std::string to_string(const Rate& rate) {
  switch (rate.unit) {
    case Rate::Unit::kMaximum: return "max";
    case Rate::Unit::kPacketsPerSecond: return fmt::format("{:g}pps", rate.value);
    case Rate::Unit::kBitsPerSecond: return fmt::format("{:g}bps", rate.value);
    case Rate::Unit::kPercent: return fmt::format("{:g}%", rate.value);
  }
  return "max";
}

net::Result<StreamDescription> stream_from_yaml(const YAML::Node& mapping, const std::string& path) {
  KeyReader keys(mapping, path);
  StreamDescription stream;
  if (const auto name = keys.text("name")) stream.name = *name;
  keys.number("port", stream.port, 0, kMaxPorts - 1);
  if (const auto file = keys.text("replay")) stream.replay = *file;
  read_headers(keys, stream);
  read_traffic(keys, stream);
  if (auto finished = keys.finish(); !finished) return finished.error();
  return stream;
}

net::Result<Profile> profile_from_text(const std::string& yaml) {
  Profile profile;
  try {
    const YAML::Node top = YAML::Load(yaml);
    KeyReader keys(top, "");
    keys.real("link", profile.link_bps, 1e3, 1e12);
    const YAML::Node streams = keys.node("streams");
    if (auto finished = keys.finish(); !finished) return finished.error();
    if (!streams.IsDefined() || !streams.IsSequence() || streams.size() == 0 || streams.size() > kMaxStreams) {
      return net::invalid_argument(fmt::format("streams: a list of 1 to {} streams", kMaxStreams));
    }
    for (std::size_t i = 0; i < streams.size(); ++i) {
      auto stream = stream_from_yaml(streams[i], fmt::format("streams[{}]", i));
      if (!stream) return stream.error();
      if (stream->name.empty()) stream->name = fmt::format("{}", i);
      profile.streams.push_back(*std::move(stream));
    }
  } catch (const YAML::Exception& error) { return net::invalid_argument(fmt::format("no YAML: {}", error.what())); }
  return profile;
}

net::Result<Profile> load_profile(const std::string& file) {
  std::ifstream in(file);
  if (!in) return net::not_found(fmt::format("profile {}: it cannot be read", file));
  std::ostringstream text;
  text << in.rdbuf();
  auto profile = profile_from_text(text.str());
  if (!profile) return net::Error{profile.error().code, fmt::format("profile {}: {}", file, profile.error().message)};
  return profile;
}

}  // namespace millrace::perf::gen
