#include "control/netlink/netlink.h"

#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link/veth.h>

#include "control/netlink/nl_object.h"

namespace millrace::control::netlink {
namespace {

LinkInfo describe(rtnl_link* link) {
  LinkInfo info;
  info.index = rtnl_link_get_ifindex(link);
  if (const char* name = rtnl_link_get_name(link)) info.name = name;
  info.mtu = rtnl_link_get_mtu(link);
  info.up = (rtnl_link_get_flags(link) & IFF_UP) != 0;
  const char* type = rtnl_link_get_type(link);
  info.is_veth = type != nullptr && std::string(type) == "veth";
  info.peer_index = rtnl_link_get_link(link);
  if (nl_addr* mac = rtnl_link_get_addr(link); mac != nullptr && nl_addr_get_len(mac) == info.mac.bytes.size()) {
    std::copy_n(static_cast<const std::uint8_t*>(nl_addr_get_binary_addr(mac)), info.mac.bytes.size(),
                info.mac.bytes.begin());
  }
  return info;
}

net::Result<void> fill_end(rtnl_link* link, const VethEnd& end, std::uint32_t mtu) {
  const auto mac = to_nl(end.mac);
  if (!mac) return nl_out_of_memory();
  rtnl_link_set_name(link, end.name.c_str());
  rtnl_link_set_addr(link, mac.get());
  rtnl_link_set_mtu(link, mtu);
  // The switch reads and writes one queue pair; the default, one a CPU, costs memory and time at each ADD.
  rtnl_link_set_num_tx_queues(link, 1);
  rtnl_link_set_num_rx_queues(link, 1);
  return {};
}

}  // namespace

void Netlink::Close::operator()(nl_sock* socket) const { nl_socket_free(socket); }

net::Result<Netlink> Netlink::open() {
  nl_sock* socket = nl_socket_alloc();
  if (socket == nullptr) return nl_out_of_memory();
  Netlink netlink(socket);
  if (const int code = nl_connect(socket, NETLINK_ROUTE); code < 0) return nl_error("netlink socket", code);
  return netlink;
}

net::Result<LinkInfo> Netlink::link(const std::string& name) {
  rtnl_link* found = nullptr;
  if (const int code = rtnl_link_get_kernel(socket_.get(), 0, name.c_str(), &found); code < 0) {
    return nl_error("interface " + name, code);
  }
  const NlPtr<rtnl_link> link(found);
  return describe(link.get());
}

net::Result<LinkInfo> Netlink::link(int index) {
  rtnl_link* found = nullptr;
  if (const int code = rtnl_link_get_kernel(socket_.get(), index, nullptr, &found); code < 0) {
    return nl_error("interface " + std::to_string(index), code);
  }
  const NlPtr<rtnl_link> link(found);
  return describe(link.get());
}

net::Result<void> Netlink::add_veth(const VethEnd& here, const VethEnd& peer, int peer_netns_fd, std::uint32_t mtu) {
  const NlPtr<rtnl_link> link(rtnl_link_veth_alloc());
  if (!link) return nl_out_of_memory();
  const NlPtr<rtnl_link> other(rtnl_link_veth_get_peer(link.get()));
  if (auto filled = fill_end(link.get(), here, mtu); !filled) return filled;
  if (auto filled = fill_end(other.get(), peer, mtu); !filled) return filled;
  if (peer_netns_fd >= 0) rtnl_link_set_ns_fd(other.get(), peer_netns_fd);
  if (const int code = rtnl_link_add(socket_.get(), link.get(), NLM_F_CREATE | NLM_F_EXCL); code < 0) {
    return nl_error("veth pair " + here.name + " and " + peer.name, code);
  }
  return {};
}

net::Result<void> Netlink::remove_link(const std::string& name) {
  const NlPtr<rtnl_link> link(rtnl_link_alloc());
  if (!link) return nl_out_of_memory();
  rtnl_link_set_name(link.get(), name.c_str());
  if (const int code = rtnl_link_delete(socket_.get(), link.get()); code < 0) {
    return nl_error("removing interface " + name, code);
  }
  return {};
}

net::Result<void> Netlink::set_up(int index) {
  const NlPtr<rtnl_link> which(rtnl_link_alloc());
  const NlPtr<rtnl_link> change(rtnl_link_alloc());
  if (!which || !change) return nl_out_of_memory();
  rtnl_link_set_ifindex(which.get(), index);
  rtnl_link_set_flags(change.get(), IFF_UP);
  if (const int code = rtnl_link_change(socket_.get(), which.get(), change.get(), 0); code < 0) {
    return nl_error("setting interface " + std::to_string(index) + " up", code);
  }
  return {};
}

net::Result<void> Netlink::set_mtu(int index, std::uint32_t mtu) {
  const NlPtr<rtnl_link> which(rtnl_link_alloc());
  const NlPtr<rtnl_link> change(rtnl_link_alloc());
  if (!which || !change) return nl_out_of_memory();
  rtnl_link_set_ifindex(which.get(), index);
  rtnl_link_set_mtu(change.get(), mtu);
  if (const int code = rtnl_link_change(socket_.get(), which.get(), change.get(), 0); code < 0) {
    return nl_error("setting the mtu " + std::to_string(mtu) + " of interface " + std::to_string(index), code);
  }
  return {};
}

net::Result<void> Netlink::set_mac(int index, const net::Mac& mac) {
  const NlPtr<rtnl_link> which(rtnl_link_alloc());
  const NlPtr<rtnl_link> change(rtnl_link_alloc());
  const NlPtr<nl_addr> address(nl_addr_build(AF_LLC, mac.bytes.data(), mac.bytes.size()));
  if (!which || !change || !address) return nl_out_of_memory();
  rtnl_link_set_ifindex(which.get(), index);
  rtnl_link_set_addr(change.get(), address.get());
  if (const int code = rtnl_link_change(socket_.get(), which.get(), change.get(), 0); code < 0) {
    return nl_error("setting the MAC " + mac.to_string() + " of interface " + std::to_string(index), code);
  }
  return {};
}

net::Result<void> remove_link_if_there(const std::string& name) {
  auto netlink = Netlink::open();
  if (!netlink) return netlink.error();
  auto removed = netlink->remove_link(name);
  if (!removed && removed.error().code == net::ErrorCode::kNotFound) return {};
  return removed;
}

}  // namespace millrace::control::netlink
