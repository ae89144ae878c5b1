#include "perf/gen/command/connect_command.h"

#include <fmt/format.h>

#include <optional>

#include "perf/gen/command/live_screen.h"
#include "perf/gen/command/output.h"
#include "perf/gen/report/connect_text.h"

namespace millrace::perf::gen {

void ConnectCommand::describe(CLI::App& app) {
  common_.describe_devices(app);
  common_.describe_stream(
      app, {"source-mac", "destination-mac", "vlan", "source-ip", "destination-ip", "protocol", "destination-port"});
  common_.describe_results(app);
  app.add_option("--client-port", options_.client_port, "Port of the clients")->capture_default_str();
  app.add_option("--server-port", options_.server_port, "Port at which this program serves; -1: the far side does")
      ->capture_default_str();
  app.add_option("--rate", options_.connections_per_second, "Connections a second; 0: as fast as others end")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e8));
  app.add_option("--concurrent", options_.clients.slots, "Most connections at once; each has a tuple of its own")
      ->capture_default_str();
  app.add_option("--connections", options_.connections, "End after so many; 0: by the time alone")
      ->capture_default_str();
  app.add_option("--request", options_.clients.request_bytes, "Bytes of a request")->capture_default_str();
  app.add_option("--response", options_.clients.response_bytes,
                 "Bytes of a response; 0: as many as the request has; more than 1400 only of a server on the far side")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 30));
  app.add_option("--timeout", timeout_, "Seconds to wait for each answer")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 600.0));
  app.add_option("--hold", hold_, "Seconds that a connection stays open behind its response")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  app.add_option("--seconds", options_.seconds, "How long to open connections")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 1e6));
}

net::Result<void> ConnectCommand::run() {
  const auto profile = common_.profile();
  if (!profile) return profile.error();
  const StreamDescription& stream = profile->streams[0];
  if (stream.protocol != Protocol::kTcp && stream.protocol != Protocol::kUdp) {
    return net::invalid_argument("--protocol: tcp or udp");
  }
  options_.clients.udp = stream.protocol == Protocol::kUdp;
  options_.clients.timeout_ns = static_cast<std::uint64_t>(timeout_ * 1e9);
  options_.clients.hold_ns = static_cast<std::uint64_t>(hold_ * 1e9);
  options_.clients.ends = {.source_mac = stream.source_mac,
                           .destination_mac = stream.destination_mac,
                           .source = stream.source_ip,
                           .destination = stream.destination_ip,
                           .source_port = 0,
                           .destination_port = stream.destination_port,
                           .vlan_count = static_cast<std::uint8_t>(stream.vlans.size())};
  for (std::size_t i = 0; i < stream.vlans.size(); ++i) {
    options_.clients.ends.vlans[i] =
        net::Be16(static_cast<std::uint16_t>(stream.vlans[i].priority << 13 | stream.vlans[i].id));
  }
  options_.drain_seconds = 2 * timeout_ + hold_;
  auto rig = common_.open_rig(*profile);
  if (!rig) return rig.error();
  const StopWatch stop(**rig);
  std::optional<LiveScreen> screen;
  if (common_.live) screen.emplace().follow(**rig, {});
  const auto result = (*rig)->connect(options_);
  screen.reset();
  if (!result) return result.error();
  auto json = nlohmann::ordered_json{{"kind", "connect"}, {"machine", fingerprint((*rig)->memory())}};
  json["result"] = connect_json(*result);
  if (common_.json) {
    fmt::print("{}\n", json.dump());
  } else {
    fmt::print("{}", connect_text(*result));
  }
  return write_result(common_, json, connect_csv(*result));
}

}  // namespace millrace::perf::gen
