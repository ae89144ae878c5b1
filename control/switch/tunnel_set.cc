#include "control/switch/tunnel_set.h"

#include <fmt/core.h>

#include <functional>
#include <string_view>
#include <utility>

#include "control/switch/field_checks.h"

namespace millrace::control::switchd {
namespace {

/// "upsert_tunnels[2]" when the tunnel is of the request, else its name.
std::string field_of(const TunnelChange& change, const TunnelConfig& tunnel) {
  for (std::size_t i = 0; i < change.upserts.size(); ++i) {
    if (change.upserts[i].name == tunnel.name) return fmt::format("upsert_tunnels[{}]", i);
  }
  return fmt::format("tunnel {}", quoted(tunnel.name));
}

bool is_new(const TunnelChange& change, const TunnelConfig& tunnel) {
  return field_of(change, tunnel).starts_with("upsert_tunnels");
}

std::string index_text(const TunnelConfig& tunnel, const net::Prefix& prefix) {
  for (std::size_t i = 0; i < tunnel.prefixes.size(); ++i) {
    if (tunnel.prefixes[i] == prefix) return fmt::format(".prefixes[{}]", i);
  }
  return ".prefixes";
}

/// A tunnel of the request is blamed rather than one that was there before it.
net::Error collision(const TunnelChange& change, const TunnelConfig& one, const TunnelConfig& other,
                     const std::string& field, const std::string& what) {
  const bool blame_one = is_new(change, one) || !is_new(change, other);
  const TunnelConfig& blamed = blame_one ? one : other;
  const TunnelConfig& owner = blame_one ? other : one;
  return net::invalid_argument(
      fmt::format("{}{}: {} is also that of tunnel {}", field_of(change, blamed), field, what, quoted(owner.name)));
}

net::Result<void> check_remotes(const TunnelSet& set, const TunnelChange& change) {
  if (!set.by_name.empty() && !set.underlay) {
    return net::invalid_argument(
        fmt::format("{}: there is no underlay; allowed: with one", field_of(change, *set.by_name.begin()->second)));
  }
  std::map<net::IpAddress, const TunnelConfig*> owners;
  for (const auto& [name, tunnel] : set.by_name) {
    const net::IpAddress& remote = tunnel->remote;
    const datapath::Underlay& node = set.underlay->node;
    const bool has_family = remote.is_v4() ? !node.ipv4.is_unspecified() : !node.ipv6.is_unspecified();
    if (!has_family) {
      return net::invalid_argument(fmt::format("{}.remote: {}; the underlay has no address of IPv{}",
                                               field_of(change, *tunnel), remote.to_string(), remote.family));
    }
    if (remote.is_v4() ? remote.v4() == node.ipv4 : remote.v6() == node.ipv6) {
      return net::invalid_argument(
          fmt::format("{}.remote: {} is this node's own", field_of(change, *tunnel), remote.to_string()));
    }
    const auto [found, is_first] = owners.emplace(remote, tunnel.get());
    if (!is_first) return collision(change, *tunnel, *found->second, ".remote", remote.to_string());
  }
  return {};
}

net::Result<void> index_prefixes(TunnelSet& set, const TunnelChange& change) {
  for (const auto& [name, tunnel] : set.by_name) {
    for (const net::Prefix& prefix : tunnel->prefixes) {
      const auto [found, is_first] = set.by_prefix.emplace(prefix, tunnel.get());
      if (is_first) continue;
      const TunnelConfig& blamed = is_new(change, *tunnel) ? *tunnel : *found->second;
      return collision(change, *tunnel, *found->second, index_text(blamed, prefix), prefix.to_string());
    }
  }
  if (set.by_prefix.size() > kTunnelPrefixLimit) {
    return net::resource_exhausted(fmt::format("upsert_tunnels: {} prefixes of all tunnels; the switch has room for {}",
                                               set.by_prefix.size(), kTunnelPrefixLimit));
  }
  return {};
}

bool is_same(const TunnelSet& a, const TunnelSet& b) {
  if (a.underlay != b.underlay || a.by_name.size() != b.by_name.size()) return false;
  for (const auto& [name, tunnel] : a.by_name) {
    const auto found = b.by_name.find(name);
    if (found == b.by_name.end()) return false;
    if (found->second != tunnel && !(*found->second == *tunnel)) return false;
  }
  return true;
}

}  // namespace

std::size_t PrefixHash::operator()(const net::Prefix& prefix) const noexcept {
  const std::string_view bytes(reinterpret_cast<const char*>(prefix.address.bytes.data()), prefix.address.bytes.size());
  return std::hash<std::string_view>()(bytes) * 131 + prefix.length_bits * std::size_t{2} +
         (prefix.address.is_v4() ? 1 : 0);
}

net::Result<std::shared_ptr<const TunnelSet>> merge_tunnels(const std::shared_ptr<const TunnelSet>& before,
                                                            const TunnelChange& change, bool replace_all) {
  if (change.empty() && !replace_all) return before;
  auto after = std::make_shared<TunnelSet>();
  after->underlay = change.underlay ? change.underlay : before->underlay;
  if (!replace_all) after->by_name = before->by_name;
  for (const std::string& name : change.removals) after->by_name.erase(name);
  for (const TunnelConfig& tunnel : change.upserts) {
    after->by_name[tunnel.name] = std::make_shared<const TunnelConfig>(tunnel);
  }
  if (is_same(*before, *after)) return before;
  if (after->by_name.size() > kTunnelLimit) {
    return net::resource_exhausted(fmt::format("upsert_tunnels: {} tunnels in all; the switch has room for {}",
                                               after->by_name.size(), kTunnelLimit));
  }
  if (auto checked = check_remotes(*after, change); !checked) return checked.error();
  if (auto checked = index_prefixes(*after, change); !checked) return checked.error();
  return std::shared_ptr<const TunnelSet>(std::move(after));
}

std::shared_ptr<const TunnelSet> restrict_tunnels(const std::shared_ptr<const TunnelSet>& set, const TunnelSet& keep) {
  auto after = std::make_shared<TunnelSet>();
  after->underlay = set->underlay;
  for (const auto& [name, tunnel] : set->by_name) {
    if (!keep.by_name.contains(name)) continue;
    after->by_name.emplace(name, tunnel);
    for (const net::Prefix& prefix : tunnel->prefixes) after->by_prefix.emplace(prefix, tunnel.get());
  }
  return after;
}

net::Result<void> check_ports(const TunnelSet& tunnels, const TunnelChange& change,
                              const std::map<std::string, PortConfig>& ports) {
  if (tunnels.by_prefix.empty()) return {};
  const auto check = [&](const std::string& port, const net::Prefix& prefix) -> net::Result<void> {
    const auto found = tunnels.by_prefix.find(prefix);
    if (found == tunnels.by_prefix.end()) return {};
    return net::invalid_argument(fmt::format("{}{}: {} is also that of port \"{}\"", field_of(change, *found->second),
                                             index_text(*found->second, prefix), prefix.to_string(), port));
  };
  for (const auto& [name, port] : ports) {
    for (const net::IpAddress& address : port.addresses) {
      const net::Prefix host{address, static_cast<std::uint8_t>(address.bits())};
      if (auto checked = check(name, host); !checked) return checked;
    }
    for (const net::Prefix& prefix : port.prefixes) {
      if (auto checked = check(name, prefix); !checked) return checked;
    }
  }
  return {};
}

}  // namespace millrace::control::switchd
