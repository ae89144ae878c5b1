#include "control/netlink/uplink_link.h"

#include <cstdint>

namespace millrace::control::netlink {
namespace {

/// "" when there is no default route.
net::Result<std::string> default_interface(Netlink& netlink) {
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    auto name = netlink.default_route_link(family);
    if (!name || !name->empty()) return name;
  }
  return std::string();
}

}  // namespace

net::Result<std::optional<LinkInfo>> find_uplink(Netlink& netlink, const std::string& uplink,
                                                 const std::string& host_port) {
  std::string name = uplink;
  if (name == "auto") {
    auto found = default_interface(netlink);
    if (!found) return found.error();
    name = *found == host_port ? "" : *found;
  }
  if (name.empty()) return std::optional<LinkInfo>();
  auto link = netlink.link(name);
  if (!link) return net::Error{link.error().code, "uplink: " + link.error().message};
  return std::optional(*std::move(link));
}

}  // namespace millrace::control::netlink
