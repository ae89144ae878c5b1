#include "control/netlink/follower.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>

namespace millrace::control::netlink {
namespace {

constexpr int kBufferBytes = 4 << 20;  // some thousand messages that nobody has read yet
constexpr unsigned kUpFlags = IFF_UP | IFF_RUNNING;
constexpr unsigned kLowerUp = 1u << 16;  // IFF_LOWER_UP of linux/if.h, which does not go with net/if.h

constexpr std::array kGroups = {RTNLGRP_LINK,        RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR,
                                RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
                                RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE,  RTNLGRP_NEXTHOP};

template <typename Header>
const Header* header_of(const nlmsghdr& message) {
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof(Header))) return nullptr;
  return static_cast<const Header*>(NLMSG_DATA(const_cast<nlmsghdr*>(&message)));
}

/// The bytes of the attribute `type` behind a Header; empty when it is not there.
template <typename Header>
std::span<const std::uint8_t> attribute(const nlmsghdr& message, unsigned short type) {
  const auto* base = reinterpret_cast<const std::uint8_t*>(&message);
  std::size_t at = NLMSG_ALIGN(NLMSG_LENGTH(sizeof(Header)));
  while (at + sizeof(rtattr) <= message.nlmsg_len) {
    rtattr found{};
    std::memcpy(&found, base + at, sizeof found);
    if (found.rta_len < sizeof found || at + found.rta_len > message.nlmsg_len) return {};
    if ((found.rta_type & NLA_TYPE_MASK) == type) {
      return {base + at + RTA_LENGTH(0), static_cast<std::size_t>(found.rta_len - RTA_LENGTH(0))};
    }
    at += RTA_ALIGN(found.rta_len);
  }
  return {};
}

std::optional<std::uint8_t> family_of(std::uint8_t kernel_family) {
  if (kernel_family == AF_INET) return 4;
  if (kernel_family == AF_INET6) return 6;
  return std::nullopt;
}

std::optional<net::IpAddress> address_of(std::uint8_t family, std::span<const std::uint8_t> bytes) {
  net::IpAddress address;
  address.family = family;
  if (bytes.size() != address.bits() / 8) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), address.bytes.begin());
  return address;
}

void add_neighbor(const nlmsghdr& message, KernelChanges& changes) {
  const auto* header = header_of<ndmsg>(message);
  const auto family = header == nullptr ? std::nullopt : family_of(header->ndm_family);
  if (!family) return;  // a bridge's table
  const auto address = address_of(*family, attribute<ndmsg>(message, NDA_DST));
  if (!address) return;
  Neighbor neighbor{header->ndm_ifindex, *address, std::nullopt, false};
  const auto mac = attribute<ndmsg>(message, NDA_LLADDR);
  const bool is_known = message.nlmsg_type == RTM_NEWNEIGH && (header->ndm_state & kKnownStates) != 0;
  if (is_known && mac.size() == net::Mac{}.bytes.size()) {
    neighbor.mac.emplace();
    std::copy(mac.begin(), mac.end(), neighbor.mac->bytes.begin());
    neighbor.is_static = (header->ndm_state & kStaticStates) != 0;
  }
  changes.neighbors.push_back(neighbor);
}

void add_route(const nlmsghdr& message, KernelChanges& changes) {
  const auto* header = header_of<rtmsg>(message);
  const auto family = header == nullptr ? std::nullopt : family_of(header->rtm_family);
  if (!family || (header->rtm_flags & RTM_F_CLONED) != 0) return;
  net::IpAddress destination;
  destination.family = *family;
  if (const auto bytes = attribute<rtmsg>(message, RTA_DST); !bytes.empty()) {
    const auto found = address_of(*family, bytes);
    if (!found) return;
    destination = *found;
  }
  changes.routes.push_back(net::Prefix::of(destination, header->rtm_dst_len));
}

void add_link(const nlmsghdr& message, KernelChanges& changes) {
  const auto* header = header_of<ifinfomsg>(message);
  if (header == nullptr || header->ifi_family != AF_UNSPEC) return;  // AF_BRIDGE: a port of a bridge
  changes.links.insert(header->ifi_index);
  if ((header->ifi_change & (kUpFlags | kLowerUp)) != 0 || message.nlmsg_type == RTM_DELLINK) changes.all_ways = true;
}

void add_address(const nlmsghdr& message, KernelChanges& changes) {
  const auto* header = header_of<ifaddrmsg>(message);
  // Every interface that is made gets a link-local one: no way to another node depends on it.
  if (header == nullptr || header->ifa_scope == RT_SCOPE_LINK) return;
  changes.all_ways = true;
}

}  // namespace

void add_message(const nlmsghdr& message, KernelChanges& changes) {
  switch (message.nlmsg_type) {
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: return add_neighbor(message, changes);
    case RTM_NEWROUTE:
    case RTM_DELROUTE: return add_route(message, changes);
    case RTM_NEWLINK:
    case RTM_DELLINK: return add_link(message, changes);
    case RTM_NEWADDR:
    case RTM_DELADDR: return add_address(message, changes);
    case RTM_NEWRULE:
    case RTM_DELRULE:
    case RTM_NEWNEXTHOP:
    case RTM_DELNEXTHOP: changes.all_ways = true; return;
    default: return;
  }
}

net::Result<Follower> Follower::open() {
  const auto failed = [](const char* what) {
    return net::internal_error(fmt::format("following the kernel's network: {}: {}", what, std::strerror(errno)));
  };
  Follower follower(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (follower.socket_ < 0) return failed("socket");
  // Without CAP_NET_ADMIN the buffer is smaller and overflows earlier, which is told.
  ::setsockopt(follower.socket_, SOL_SOCKET, SO_RCVBUFFORCE, &kBufferBytes, sizeof kBufferBytes);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(follower.socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return failed("bind");
  for (const int group : kGroups) {
    if (::setsockopt(follower.socket_, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0) continue;
    if (group != RTNLGRP_NEXTHOP) return failed("group");  // a kernel older than 5.3 has none
  }
  return follower;
}

Follower::~Follower() {
  if (socket_ >= 0) ::close(socket_);
}

net::Result<KernelChanges> Follower::read() {
  alignas(nlmsghdr) std::array<std::uint8_t, 65536> buffer;
  KernelChanges changes;
  for (;;) {
    sockaddr_nl sender{};
    iovec part{buffer.data(), buffer.size()};
    msghdr envelope{};
    envelope.msg_name = &sender;
    envelope.msg_namelen = sizeof sender;
    envelope.msg_iov = &part;
    envelope.msg_iovlen = 1;
    const ssize_t got = ::recvmsg(socket_, &envelope, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return changes;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno != ENOBUFS) {
      return net::internal_error(fmt::format("following the kernel's network: {}", std::strerror(errno)));
    }
    if (got < 0 || (envelope.msg_flags & MSG_TRUNC) != 0) changes.lost = true;
    if (got < 0 || sender.nl_pid != 0) continue;  // another process may send here, the kernel is 0
    auto left = static_cast<unsigned>(got);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      add_message(*message, changes);
    }
  }
}

}  // namespace millrace::control::netlink
