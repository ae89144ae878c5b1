#include "control/switch/uplink_socket.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace millrace::control::switchd {
namespace {

constexpr std::string_view kKind = "vhost-user";

net::Error wrong(std::string_view argument, std::string_view allowed) {
  return net::invalid_argument(fmt::format("device {}: {}; allowed: {}", kKind, argument, allowed));
}

}  // namespace

bool is_uplink_socket(const std::string& device) {
  return device.starts_with(kKind) && (device.size() == kKind.size() || device[kKind.size()] == ',');
}

net::Result<UplinkSocket> parse_uplink_socket(const std::string& device) {
  UplinkSocket socket;
  std::optional<net::Mac> mac;
  std::string_view left = std::string_view(device).substr(std::min(kKind.size() + 1, device.size()));
  while (!left.empty()) {
    const std::string_view argument = left.substr(0, left.find(','));
    left.remove_prefix(std::min(argument.size() + 1, left.size()));
    const std::string_view value = argument.substr(std::min(argument.find('=') + 1, argument.size()));
    if (argument.starts_with("path=")) {
      socket.path = value;
    } else if (argument.starts_with("mac=")) {
      const auto parsed = net::Mac::parse(value);
      if (!parsed || parsed->is_multicast()) return wrong(argument, "a unicast address, \"02:00:00:00:00:01\"");
      mac = *parsed;
    } else if (argument == "role=client" || argument == "role=server") {
      socket.is_client = value == "client";
    } else {
      return wrong(argument, "path=PATH, mac=MAC, role=server|client");
    }
  }
  if (socket.path.empty()) return wrong("no path", "path=PATH");
  if (!mac) return wrong("no mac", "mac=MAC");
  socket.mac = *mac;
  return socket;
}

}  // namespace millrace::control::switchd
