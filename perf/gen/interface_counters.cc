#include "perf/gen/interface_counters.h"

#include <fmt/format.h>
#include <netlink/route/link.h>
#include <netlink/socket.h>

#include <memory>

namespace millrace::perf::gen {

net::Result<InterfaceCounters> read_interface_counters(const std::string& interface) {
  const std::unique_ptr<nl_sock, void (*)(nl_sock*)> socket(nl_socket_alloc(), nl_socket_free);
  if (!socket || nl_connect(socket.get(), NETLINK_ROUTE) < 0) return net::internal_error("no netlink socket");
  rtnl_link* found = nullptr;
  const int status = rtnl_link_get_kernel(socket.get(), 0, interface.c_str(), &found);
  if (status < 0) return net::not_found(fmt::format("interface {}: {}", interface, nl_geterror(status)));
  const std::unique_ptr<rtnl_link, void (*)(rtnl_link*)> link(found, rtnl_link_put);
  return InterfaceCounters{.tx_packets = rtnl_link_get_stat(found, RTNL_LINK_TX_PACKETS),
                           .tx_dropped = rtnl_link_get_stat(found, RTNL_LINK_TX_DROPPED)};
}

}  // namespace millrace::perf::gen
