#include "perf/gen/command/options.h"

#include <fmt/format.h>

#include <algorithm>

#include "perf/gen/run/recording.h"
#include "perf/gen/stream/key_reader.h"
#include "perf/gen/stream/profile.h"

namespace millrace::perf::gen {

const std::vector<std::pair<const char*, const char*>>& stream_flags() {
  static const std::vector<std::pair<const char*, const char*>> flags = {
      {"source-mac", "Source MAC (02:00:00:00:00:01)"},
      {"destination-mac", "Destination MAC (02:00:00:00:00:02)"},
      {"vlan", "VLAN id; a profile may have two and priorities"},
      {"source-ip", "Source address, IPv4 or IPv6 (198.18.0.1)"},
      {"destination-ip", "Destination address (198.19.0.1)"},
      {"protocol", "udp, tcp, sctp or icmp (udp)"},
      {"source-port", "Source port of the first flow; identifier of ICMP (1024)"},
      {"destination-port", "Destination port of the first flow (8080)"},
      {"ttl", "TTL or hop limit (64)"},
      {"dscp", "DSCP (0)"},
      {"tcp-flags", "Letters of F, S, R, P, A, U (A)"},
      {"size", "Bytes of a frame without FCS, or imix (64)"},
      {"rate", "1Mpps, 2.5Gbps (of the wire), 30% or max (max)"},
      {"burst", "Packets that are due together (1)"},
      {"flows", "Flows, by source port, then destination port (1)"},
      {"order", "in-turn, shuffled, random or zipf (in-turn)"},
      {"zipf-exponent", "Exponent of zipf (1)"},
      {"seed", "Seed of random orders and values (1)"},
      {"replay", "A pcap file to send as recorded, in place of made packets"},
  };
  return flags;
}

void CommonOptions::describe_devices(CLI::App& app) {
  app.add_option("--port", rig_.ports,
                 "DPDK device, such as net_virtio_user0,path=/run/vh0.sock,queue_size=1024; again for more")
      ->required()
      ->allow_extra_args(false);
  app.add_option("--echo", rig_.echo, "Number of a port that turns round what arrives; again for more")
      ->allow_extra_args(false);
  app.add_option("--cpu", rig_.cpus, "CPU of a thread; again for more, ports are dealt to them in turn")
      ->allow_extra_args(false);
  app.add_option("--frame-bytes", rig_.frame_bytes, "Longest frame that may arrive")
      ->capture_default_str()
      ->check(CLI::Range(kMinFrameBytes, kMaxFrameBytes));
  app.add_option("--descriptors", rig_.descriptors, "Descriptors of each queue")
      ->capture_default_str()
      ->check(CLI::Range(32, 4096));
  app.add_flag("--no-hugepages", no_hugepages_, "Use 4K pages");
}

void CommonOptions::describe(CLI::App& app) {
  describe_devices(app);
  app.add_flag("--verify-headers", rig_.verify_headers, "Check IP and L4 checksums of what arrives, too");
  app.add_option("--profile", profile_file_, "Streams from a YAML file (see README.md)");
  app.add_option("--link", link_, "What a rate in % is of, bits a second")->capture_default_str();
  std::vector<std::string> names;
  for (const auto& [name, text] : stream_flags()) names.emplace_back(name);
  describe_stream(app, names);
  describe_results(app);
}

void CommonOptions::describe_stream(CLI::App& app, const std::vector<std::string>& names) {
  for (const auto& [name, text] : stream_flags()) {
    if (std::ranges::find(names, name) == names.end()) continue;
    app.add_option_function<std::string>(
           std::string("--") + name, [this, name = name](const std::string& value) { stream_keys_[name] = value; },
           text)
        ->group("Stream");
  }
}

void CommonOptions::describe_results(CLI::App& app) {
  app.add_flag("--live", live, "Show rates, loss, latency and headroom while it runs");
  app.add_option("--interval", rig_.interval_seconds, "Seconds between samples")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 60.0));
  app.add_flag("--json", json, "Print the result as JSON");
  app.add_option("--json-file", json_file, "Write the result as JSON");
  app.add_option("--csv", csv_file, "Write the result as CSV");
  app.add_option("--html", html_file, "Write a report, one self-contained page");
}

net::Result<Profile> CommonOptions::profile() const {
  if (!profile_file_.empty()) {
    if (!stream_keys_.empty()) {
      return net::invalid_argument(
          fmt::format("--{}: not with --profile, which describes its streams itself", stream_keys_.begin()->first));
    }
    return load_profile(profile_file_);
  }
  YAML::Node mapping(YAML::NodeType::Map);
  for (const auto& [key, value] : stream_keys_) mapping[key] = value;
  auto stream = stream_from_yaml(mapping, "");
  if (!stream) return net::invalid_argument("--" + stream.error().message);
  stream->name = "0";
  Profile profile;
  std::string_view rest;
  const auto link = scaled_number(link_, rest);
  if (!link || !rest.empty() || *link < 1e3 || *link > 1e12) {
    return net::invalid_argument(fmt::format("--link {}: 1k to 1000G", link_));
  }
  profile.link_bps = *link;
  profile.streams.push_back(*std::move(stream));
  return profile;
}

net::Result<std::unique_ptr<Rig>> CommonOptions::open_rig(const Profile& profile) const {
  RigOptions options = rig_;
  options.hugepages = !no_hugepages_;
  for (const StreamDescription& stream : profile.streams) {
    for (const SizeShare& size : stream.sizes) {
      options.frame_bytes = std::max(options.frame_bytes, size.bytes + tunnel_bytes(stream));
    }
  }
  return Rig::open(options);
}

}  // namespace millrace::perf::gen
