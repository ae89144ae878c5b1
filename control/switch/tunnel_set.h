/// TunnelSet: this node in the underlay and all ways to other nodes that the agent wants, which fit each other.
///
/// Shape:   tunnels by name; no two have one remote or one prefix, and none has a remote of a family that the underlay
///          has no address of. A prefix may lie inside of another's, or of a port's: the longest decides.
/// Errors:  of `merge_tunnels` and `check_ports`: kInvalidArgument names the field of the request and what it collides
///          with; kResourceExhausted the limit.
/// Thread:  immutable, any; the functions are pure.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "control/switch/port_config.h"
#include "control/switch/tunnel_request.h"
#include "net/result.h"

namespace millrace::control::switchd {

struct PrefixHash {
  std::size_t operator()(const net::Prefix& prefix) const noexcept;
};

struct TunnelSet {
  std::optional<UnderlayConfig> underlay;
  std::map<std::string, std::shared_ptr<const TunnelConfig>> by_name;
  std::unordered_map<net::Prefix, const TunnelConfig*, PrefixHash> by_prefix;  // into by_name
};

/// `before` itself when the change says nothing new.
net::Result<std::shared_ptr<const TunnelSet>> merge_tunnels(const std::shared_ptr<const TunnelSet>& before,
                                                            const TunnelChange& change, bool replace_all);
/// `set` without the tunnels that `keep` does not name.
std::shared_ptr<const TunnelSet> restrict_tunnels(const std::shared_ptr<const TunnelSet>& set, const TunnelSet& keep);

/// No port has an address or a prefix of a tunnel.
net::Result<void> check_ports(const TunnelSet& tunnels, const TunnelChange& change,
                              const std::map<std::string, PortConfig>& ports);

}  // namespace millrace::control::switchd
