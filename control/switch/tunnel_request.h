/// parse_tunnels: what an ApplyRequest says of the underlay and of ways to other nodes, every field checked by itself.
///
/// Errors:  kInvalidArgument names the field ("upsert_tunnels[3].remote") and what is allowed; kResourceExhausted the
///          limit. Whether tunnels fit each other and the ports: tunnel_set.h.
/// Thread:  pure function, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/api/switch.pb.h"
#include "datapath/tunnel_spec.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::control::switchd {

inline constexpr std::size_t kTunnelLimit = 1024;          // tunnels of a switch
inline constexpr std::size_t kTunnelPrefixLimit = 65'536;  // of all tunnels; one has at most kMaxTunnelPrefixes
inline constexpr int kLocalPrefixLimit = 1024;
inline constexpr std::size_t kTunnelNameLimit = 253;

struct UnderlayConfig {
  datapath::Underlay node;
  std::vector<net::Prefix> local_prefixes;  // none twice
  friend bool operator==(const UnderlayConfig& a, const UnderlayConfig& b) {
    return a.node.ipv4 == b.node.ipv4 && a.node.ipv6 == b.node.ipv6 && a.node.vtep_mac == b.node.vtep_mac &&
           a.node.vni == b.node.vni && a.node.udp_port == b.node.udp_port && a.local_prefixes == b.local_prefixes;
  }
};

struct TunnelConfig {
  std::string name;
  net::IpAddress remote;
  net::Mac remote_vtep_mac;  // zero with ENCAPSULATION_NONE
  api::Encapsulation encapsulation = api::ENCAPSULATION_VXLAN;
  std::vector<net::Prefix> prefixes;
  friend bool operator==(const TunnelConfig&, const TunnelConfig&) = default;
};

struct TunnelChange {
  std::optional<UnderlayConfig> underlay;
  std::vector<TunnelConfig> upserts;  // [i] is upsert_tunnels[i]
  std::vector<std::string> removals;
  bool empty() const { return !underlay && upserts.empty() && removals.empty(); }
};

net::Result<TunnelChange> parse_tunnels(const api::ApplyRequest& request);

api::Underlay to_proto(const UnderlayConfig& underlay);
api::Tunnel to_proto(const TunnelConfig& tunnel);

}  // namespace millrace::control::switchd
