/// Owners of libnl's reference-counted objects, and conversions to and from its addresses. For this room only.
#pragma once

#include <netlink/addr.h>
#include <netlink/cache.h>
#include <netlink/errno.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <netlink/route/rule.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "net/address.h"
#include "net/result.h"

namespace millrace::control::netlink {

struct PutNl {
  void operator()(rtnl_link* link) const { rtnl_link_put(link); }
  void operator()(rtnl_rule* rule) const { rtnl_rule_put(rule); }
  void operator()(rtnl_addr* address) const { rtnl_addr_put(address); }
  void operator()(rtnl_route* route) const { rtnl_route_put(route); }
  void operator()(nl_addr* address) const { nl_addr_put(address); }
  void operator()(nl_cache* cache) const { nl_cache_free(cache); }
};
template <typename T>
using NlPtr = std::unique_ptr<T, PutNl>;

inline int nl_family(std::uint8_t family) { return family == 4 ? AF_INET : AF_INET6; }

inline NlPtr<nl_addr> to_nl(const net::Prefix& prefix) {
  const auto raw = prefix.address.raw();
  NlPtr<nl_addr> address(nl_addr_build(nl_family(prefix.address.family), raw.data(), raw.size()));
  if (address) nl_addr_set_prefixlen(address.get(), prefix.length_bits);
  return address;
}

inline NlPtr<nl_addr> to_nl(const net::IpAddress& address) {
  return to_nl(net::Prefix{address, static_cast<std::uint8_t>(address.bits())});
}

inline NlPtr<nl_addr> to_nl(const net::Mac& mac) {
  return NlPtr<nl_addr>(nl_addr_build(AF_LLC, mac.bytes.data(), mac.bytes.size()));
}

/// Empty for what is no IP address. libnl shortens an all-zero default destination to no bytes.
inline std::optional<net::Prefix> from_nl(const nl_addr* address, std::uint8_t family) {
  net::Prefix prefix;
  prefix.address.family = family;
  if (address == nullptr) return prefix;
  const std::size_t length = nl_addr_get_len(address);
  if (length > prefix.address.bits() / 8) return std::nullopt;
  const auto* bytes = static_cast<const std::uint8_t*>(nl_addr_get_binary_addr(address));
  std::copy_n(bytes, length, prefix.address.bytes.begin());
  prefix.length_bits = static_cast<std::uint8_t>(nl_addr_get_prefixlen(address));
  return prefix;
}

/// `code`: what a libnl call returned, negative. `what` names the object and the action.
inline net::Error nl_error(const std::string& what, int code) {
  std::string message = what + ": " + nl_geterror(code);
  switch (-code) {
    case NLE_EXIST: return net::already_exists(std::move(message));
    case NLE_NODEV:
    case NLE_NOADDR:
    case NLE_OBJ_NOTFOUND: return net::not_found(std::move(message));
    case NLE_PERM:
    case NLE_NOACCESS: return net::permission_denied(std::move(message));
    default: return net::internal_error(std::move(message));
  }
}

inline net::Error nl_out_of_memory() { return net::internal_error("netlink: out of memory"); }

}  // namespace millrace::control::netlink
