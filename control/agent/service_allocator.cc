#include "control/agent/service_allocator.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

namespace millrace::control::agent {
namespace {

constexpr unsigned kMaxOffsetBits = 20;  // of a range; what lies behind is only had by asking for it

/// FNV-1a: the same in each run.
std::uint32_t hash_of(std::string_view text) {
  std::uint32_t hash = 2166136261;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619;
  return hash;
}

bool has_addresses(const kube::Service& service) {
  return !service.headless && service.type != kube::ServiceType::kExternalName;
}

net::IpAddress at(const net::Prefix& range, std::uint32_t offset) {
  net::IpAddress address = range.address;
  const std::size_t last = address.bits() / 8 - 1;
  for (std::size_t i = 0; i < 4; ++i) {
    address.bytes[last - i] = static_cast<std::uint8_t>(address.bytes[last - i] | (offset >> (8 * i)));
  }
  return address;
}

/// The first is the range itself, and the last of IPv4 a broadcast address to some.
bool is_edge(const net::Prefix& range, const net::IpAddress& address) {
  if (address == range.address) return true;
  if (!address.is_v4()) return false;
  const std::uint32_t host_bits = range.length_bits == 32 ? 0 : 0xffffffff >> range.length_bits;
  return (address.v4().value.host() & host_bits) == host_bits;
}

std::uint32_t offsets_in(const net::Prefix& range) {
  const unsigned bits = range.address.bits() - range.length_bits;
  return std::uint32_t{1} << std::min(bits, kMaxOffsetBits);
}

/// First number from `begin` on for which `is_free`, the search starting at a place that `seed` gives.
std::optional<std::uint32_t> search(std::uint32_t begin, std::uint32_t end, std::uint32_t seed,
                                    const std::function<bool(std::uint32_t)>& is_free) {
  if (begin >= end) return std::nullopt;
  const std::uint32_t count = end - begin;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t candidate = begin + (seed % count + i) % count;
    if (is_free(candidate)) return candidate;
  }
  return std::nullopt;
}

/// [first, last] with the lower band left for those who ask; when the rest is full, that band too.
std::optional<std::uint32_t> search_above(std::uint32_t first, std::uint32_t last, std::uint32_t band,
                                          std::uint32_t seed, const std::function<bool(std::uint32_t)>& is_free) {
  auto found = search(first + band, last + 1, seed, is_free);
  return found ? found : search(first, std::min(first + band, last + 1), seed, is_free);
}

/// nullptr: in none of the two.
const std::string* find_in(const auto& first, const auto& second, const auto& key) {
  if (const auto found = first.find(key); found != first.end()) return &found->second;
  const auto found = second.find(key);
  return found == second.end() ? nullptr : &found->second;
}

}  // namespace

std::string owner_name(const kube::Service& service) {
  return fmt::format("{}/{}", service.meta.name_space, service.meta.name);
}

void ServiceClaims::add(const kube::Service& service) {
  const std::string owner = owner_name(service);
  for (const net::IpAddress& address : service.cluster_ips) give(address, owner);
  for (const kube::ServicePort& port : service.ports) {
    if (port.node_port != 0) give(port.node_port, owner);
  }
  if (service.health_check_node_port != 0) give(service.health_check_node_port, owner);
}

void ServiceClaims::remove(const kube::Service& service) {
  const std::string owner = owner_name(service);
  const auto take = [&owner](auto& map, const auto& key) {
    const auto found = map.find(key);
    if (found != map.end() && found->second == owner) map.erase(found);
  };
  for (const net::IpAddress& address : service.cluster_ips) take(addresses_, address);
  for (const kube::ServicePort& port : service.ports) take(ports_, port.node_port);
  take(ports_, service.health_check_node_port);
}

const std::string* ServiceClaims::owner_of(const net::IpAddress& address) const {
  return find_in(addresses_, reserved_addresses_, address);
}

const std::string* ServiceClaims::owner_of(std::uint16_t port) const { return find_in(ports_, reserved_ports_, port); }

const std::string* ServiceAllocator::owner_of(const auto& what) const {
  if (const std::string* given = given_.owner_of(what)) return given;
  const std::string* stored = stored_.owner_of(what);
  return stored != nullptr && asked_.contains(*stored) ? nullptr : stored;
}

net::Result<void> ServiceAllocator::keep(kube::Service& service, const kube::Service* before) const {
  if (before == nullptr || !has_addresses(*before)) return {};
  if (has_addresses(service)) {
    if (service.cluster_ips.empty()) {
      const bool same_families = service.ip_families.empty() || service.ip_families == before->ip_families;
      if (!service.ip_family_policy && same_families) service.ip_family_policy = before->ip_family_policy;
      if (service.ip_families.empty()) service.ip_families = before->ip_families;
      service.cluster_ips = before->cluster_ips;
      const bool is_single = service.ip_family_policy == kube::IpFamilyPolicy::kSingleStack;
      if (is_single && service.cluster_ips.size() > 1) {
        service.cluster_ips.resize(1);
        service.ip_families.resize(1);
      }
    } else if (service.cluster_ips[0] != before->cluster_ips[0]) {
      return net::invalid_argument(fmt::format("spec.clusterIP: {}; allowed: {}, which it has until it is deleted",
                                               service.cluster_ips[0].to_string(), before->cluster_ips[0].to_string()));
    }
  }
  if (!service.has_node_ports()) return {};
  for (kube::ServicePort& port : service.ports) {
    if (port.node_port != 0) continue;
    const auto same = std::ranges::find_if(before->ports, [&](const kube::ServicePort& other) {
      return other.port == port.port && other.protocol == port.protocol;
    });
    if (same == before->ports.end()) continue;
    const bool is_asked_for = std::ranges::any_of(
        service.ports, [&](const kube::ServicePort& other) { return other.node_port == same->node_port; });
    if (!is_asked_for) port.node_port = same->node_port;
  }
  if (service.health_check_node_port == 0) service.health_check_node_port = before->health_check_node_port;
  return {};
}

net::Result<void> ServiceAllocator::decide_families(kube::Service& service) const {
  using Policy = kube::IpFamilyPolicy;
  auto& families = service.ip_families;
  for (std::size_t i = families.size(); i < service.cluster_ips.size(); ++i) {
    families.push_back(service.cluster_ips[i].family);
  }
  for (const std::uint8_t family : families) {
    if (!ranges_.of(family)) {
      return net::invalid_argument(fmt::format("spec.ipFamilies: IPv{0}, but services.ipv{0} is none", family));
    }
  }
  if (!ranges_.ipv4 && !ranges_.ipv6) {
    return net::failed_precondition("spec.clusterIP: services.ipv4 and services.ipv6 are none");
  }
  if (families.empty()) families.push_back(ranges_.ipv4 ? 4 : 6);
  if (!service.ip_family_policy) service.ip_family_policy = Policy::kSingleStack;
  if (*service.ip_family_policy == Policy::kSingleStack || families.size() == 2) return {};
  const std::uint8_t second = families[0] == 4 ? 6 : 4;
  if (ranges_.of(second)) {
    families.push_back(second);
  } else if (*service.ip_family_policy == Policy::kRequireDualStack) {
    return net::invalid_argument(
        fmt::format("spec.ipFamilyPolicy: RequireDualStack, but services.ipv{} is none", second));
  }
  return {};
}

net::Result<void> ServiceAllocator::claim_address(const kube::Service& service, const net::IpAddress& address) {
  const auto& range = ranges_.of(address.family);
  const std::string owner = owner_name(service);
  if (const std::string* taken = owner_of(address)) {
    if (*taken == owner) return {};
    return net::already_exists(fmt::format("spec.clusterIP: {} is in use by service {}", address.to_string(), *taken));
  }
  if (!range || !range->contains(address) || is_edge(*range, address)) {
    return net::invalid_argument(
        fmt::format("spec.clusterIP: {}; allowed: None, an address of {} but the first and "
                    "the last, or \"\" to be given one",
                    address.to_string(), range ? range->to_string() : "no range"));
  }
  given_.give(address, owner);
  return {};
}

net::Result<void> ServiceAllocator::claim_port(const kube::Service& service, const std::string& field,
                                               std::uint16_t port) {
  const std::string owner = owner_name(service);
  if (const std::string* taken = owner_of(port)) {
    if (*taken == owner) return {};
    return net::already_exists(fmt::format("spec.{}: {} is in use by service {}", field, port, *taken));
  }
  if (port < ranges_.first_node_port || port > ranges_.last_node_port) {
    return net::invalid_argument(fmt::format("spec.{}: {}; allowed: {}..{} (services.nodePortRange)", field, port,
                                             ranges_.first_node_port, ranges_.last_node_port));
  }
  given_.give(port, owner);
  return {};
}

net::Result<void> ServiceAllocator::claim(kube::Service& service) {
  if (service.type == kube::ServiceType::kExternalName) return {};
  if (auto decided = decide_families(service); !decided) return decided;
  for (const net::IpAddress& address : service.cluster_ips) {
    if (auto claimed = claim_address(service, address); !claimed) return claimed;
  }
  for (std::size_t i = 0; i < service.ports.size(); ++i) {
    if (service.ports[i].node_port == 0) continue;
    auto claimed = claim_port(service, fmt::format("ports[{}].nodePort", i), service.ports[i].node_port);
    if (!claimed) return claimed;
  }
  if (service.health_check_node_port == 0) return {};
  return claim_port(service, "healthCheckNodePort", service.health_check_node_port);
}

net::Result<net::IpAddress> ServiceAllocator::free_address(const kube::Service& service, std::uint8_t family) const {
  const net::Prefix& range = *ranges_.of(family);
  const std::uint32_t size = offsets_in(range);
  const std::uint32_t band = std::min(std::max(16u, size / 16), 256u);
  const auto found = search_above(1, size - (family == 4 ? 2 : 1), band, hash_of(owner_name(service)),
                                  [&](std::uint32_t offset) { return owner_of(at(range, offset)) == nullptr; });
  if (found) return at(range, *found);
  return net::resource_exhausted(
      fmt::format("spec.clusterIP: every address of services.ipv{} {} is in use", family, range.to_string()));
}

net::Result<std::uint16_t> ServiceAllocator::free_port(const kube::Service& service) const {
  const std::uint32_t size = static_cast<std::uint32_t>(ranges_.last_node_port - ranges_.first_node_port) + 1;
  const std::uint32_t band = size < 32 ? 0 : std::min(std::max(16u, size / 32), 128u);
  const auto found =
      search_above(ranges_.first_node_port, ranges_.last_node_port, band, hash_of(owner_name(service)),
                   [&](std::uint32_t port) { return owner_of(static_cast<std::uint16_t>(port)) == nullptr; });
  if (found) return static_cast<std::uint16_t>(*found);
  return net::resource_exhausted(fmt::format("spec.ports: every port of services.nodePortRange {}-{} is in use",
                                             ranges_.first_node_port, ranges_.last_node_port));
}

net::Result<void> ServiceAllocator::fill(kube::Service& service) {
  if (!has_addresses(service)) return {};
  const std::string owner = owner_name(service);
  for (std::size_t i = service.cluster_ips.size(); i < service.ip_families.size(); ++i) {
    auto address = free_address(service, service.ip_families[i]);
    if (!address) return address.error();
    given_.give(*address, owner);
    service.cluster_ips.push_back(*address);
  }
  const bool is_balancer = service.type == kube::ServiceType::kLoadBalancer;
  if (!service.has_node_ports()) return {};
  for (kube::ServicePort& port : service.ports) {
    if (port.node_port != 0 || (is_balancer && !service.allocate_load_balancer_node_ports)) continue;
    auto number = free_port(service);
    if (!number) return number.error();
    given_.give(*number, owner);
    port.node_port = *number;
  }
  const bool wants_health_check = is_balancer && service.external_traffic_policy == kube::TrafficPolicy::kLocal;
  if (!wants_health_check) {
    service.health_check_node_port = 0;
  } else if (service.health_check_node_port == 0) {
    auto number = free_port(service);
    if (!number) return number.error();
    given_.give(*number, owner);
    service.health_check_node_port = *number;
  }
  return {};
}

}  // namespace millrace::control::agent
