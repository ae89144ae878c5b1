#include "control/cli/packet_watch.h"

#include <fmt/format.h>

#include <cstdio>

#include "control/cli/client.h"
#include "control/cli/message_json.h"
#include "control/cli/packet_text.h"

namespace millrace::control::cli {

namespace {

std::string json_line(const api::PacketEvent& event) {
  return to_json(event).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

net::Result<int> watch_packets(Context& context, const config::Config& config,
                               const api::WatchPacketsRequest& request) {
  bool has_begun = false;
  const auto take = [&](const api::PacketEvents& message) {
    if (!std::exchange(has_begun, true)) fmt::print(stderr, "watching; Ctrl-C ends it\n");
    for (const api::PacketEvent& event : message.events()) {
      fmt::print("{}", context.json() ? json_line(event) : packet_line(event));
    }
    if (message.lost() > 0) fmt::print(stderr, "{} packets more were not told: too many at once\n", message.lost());
    return std::fflush(stdout) == 0;
  };
  SwitchClient client = switch_client(config);
  const auto watched = client.stream<api::WatchPacketsRequest, api::PacketEvents>(&api::Switch::Stub::WatchPackets,
                                                                                  request, take, std::nullopt);
  if (!watched) return watched.error();
  return 1;  // only when nobody reads any more
}

}  // namespace millrace::control::cli
