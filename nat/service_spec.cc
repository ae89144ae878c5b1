#include "nat/service_spec.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "net/parser.h"

namespace millrace::nat {
namespace {

using Problem = std::optional<net::Error>;

std::string at(const std::string& list, std::size_t index) { return list + "[" + std::to_string(index) + "]"; }

Problem too_many(const std::string& field, std::size_t count, std::size_t limit) {
  if (count <= limit) return {};
  return net::resource_exhausted(field + ": " + std::to_string(count) + " are more than the limit of " +
                                 std::to_string(limit));
}

Problem check_address(const std::string& field, const net::IpAddress& address) {
  if (address.family != 4 && address.family != 6) {
    return net::invalid_argument(field + ": family " + std::to_string(address.family) + ", want 4 or 6");
  }
  const bool usable =
      address.is_v4() ? !address.v4().is_unspecified() && !address.v4().is_multicast() && !address.v4().is_broadcast()
                      : !address.v6().is_unspecified() && !address.v6().is_multicast();
  if (usable) return {};
  return net::invalid_argument(field + ": " + address.to_string() + " is no address of one host");
}

Problem check_port(const std::string& field, std::uint16_t port) {
  if (port != 0) return {};
  return net::invalid_argument(field + ": 0, want 1 to 65535");
}

Problem check_twice(const std::string& field, std::vector<Backend> backends) {
  std::sort(backends.begin(), backends.end());
  const auto twice = std::adjacent_find(backends.begin(), backends.end());
  if (twice == backends.end()) return {};
  return net::invalid_argument(field + ": " + twice->address.to_string() + " port " + std::to_string(twice->port) +
                               " is there twice");
}

Problem check_set(const std::string& field, const std::vector<Backend>& backends) {
  if (auto problem = too_many(field, backends.size(), kMaxBackendsPerSet)) return problem;
  for (std::size_t i = 0; i < backends.size(); ++i) {
    const Backend& backend = backends[i];
    // Texts are made when there is something to say: a set has thousands of backends.
    const bool same_family = backend.address.family == backends[0].address.family;
    if (backend.port != 0 && same_family && !check_address({}, backend.address)) continue;
    if (auto problem = check_address(at(field, i) + ".address", backend.address)) return problem;
    if (auto problem = check_port(at(field, i) + ".port", backend.port)) return problem;
    return net::invalid_argument(at(field, i) + ".address: " + backend.address.to_string() +
                                 " is not of the family of the set's first");
  }
  return check_twice(field, backends);
}

Problem check_rule(const std::string& field, const FrontendRule& rule, const FrontendSpec& frontend,
                   const ServiceSpec& spec) {
  if (rule.action > FrontendAction::kDrop) {
    return net::invalid_argument(field + ".action: " + std::to_string(static_cast<unsigned>(rule.action)) +
                                 " is none of balance, reject, drop");
  }
  if (rule.action != FrontendAction::kBalance) return {};
  if (rule.backend_set >= spec.backend_sets.size()) {
    return net::invalid_argument(field + ".backend_set: " + std::to_string(rule.backend_set) + ", the service has " +
                                 std::to_string(spec.backend_sets.size()));
  }
  const std::vector<Backend>& backends = spec.backend_sets[rule.backend_set];
  if (backends.empty() || backends[0].address.family == frontend.address.family) return {};
  return net::invalid_argument(field + ".backend_set: " + std::to_string(rule.backend_set) +
                               " is not of the frontend's family");
}

Problem check_ranges(const std::string& field, const std::vector<net::Prefix>& ranges) {
  if (auto problem = too_many(field, ranges.size(), kMaxSourceRanges)) return problem;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const net::Prefix& range = ranges[i];
    if (range.address.family != 4 && range.address.family != 6) {
      return net::invalid_argument(at(field, i) + ": family " + std::to_string(range.address.family) + ", want 4 or 6");
    }
    if (range.length_bits > range.address.bits() || net::Prefix::of(range.address, range.length_bits) != range) {
      return net::invalid_argument(at(field, i) + ": " + range.to_string() +
                                   " has bits set behind the prefix, or is too long");
    }
  }
  return {};
}

Problem check_frontend(const std::string& field, const FrontendSpec& frontend, const ServiceSpec& spec) {
  if (auto problem = check_address(field + ".address", frontend.address)) return problem;
  const auto protocol = static_cast<unsigned>(frontend.protocol);
  if (protocol != net::ip_protocol::kTcp && protocol != net::ip_protocol::kUdp && protocol != net::ip_protocol::kSctp) {
    return net::invalid_argument(field + ".protocol: " + std::to_string(protocol) +
                                 ", want 6 (TCP), 17 (UDP) or 132 (SCTP)");
  }
  if (auto problem = check_port(field + ".port", frontend.port)) return problem;
  for (unsigned kind = 0; kind < kSourceKinds; ++kind) {
    if (auto problem = check_rule(at(field + ".rules", kind), frontend.rules[kind], frontend, spec)) return problem;
  }
  return check_ranges(field + ".source_ranges", frontend.source_ranges);
}

Problem check_frontends(const ServiceSpec& spec) {
  if (auto problem = too_many("frontends", spec.frontends.size(), kMaxFrontendsPerService)) return problem;
  using Tuple = std::tuple<net::IpAddress, std::uint8_t, std::uint16_t>;
  std::vector<std::pair<Tuple, std::size_t>> seen;
  for (std::size_t i = 0; i < spec.frontends.size(); ++i) {
    const FrontendSpec& frontend = spec.frontends[i];
    if (auto problem = check_frontend(at("frontends", i), frontend, spec)) return problem;
    seen.emplace_back(Tuple{frontend.address, frontend.protocol, frontend.port}, i);
  }
  std::sort(seen.begin(), seen.end());
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  const auto twice = std::adjacent_find(seen.begin(), seen.end(), same);
  if (twice != seen.end()) {
    const std::size_t before = twice[0].second, index = twice[1].second;
    const FrontendSpec& frontend = spec.frontends[index];
    return net::invalid_argument(at("frontends", index) + ": " +
                                 frontend_text(frontend.address, frontend.protocol, frontend.port) + " is " +
                                 at("frontends", before) + " already");
  }
  return {};
}

Problem check_all(const ServiceSpec& spec) {
  if (spec.affinity_seconds > kMaxAffinitySeconds) {
    return net::invalid_argument("affinity_seconds: " + std::to_string(spec.affinity_seconds) + ", want 0 to " +
                                 std::to_string(kMaxAffinitySeconds));
  }
  if (auto problem = too_many("backend_sets", spec.backend_sets.size(), kMaxBackendSetsPerService)) return problem;
  for (std::size_t i = 0; i < spec.backend_sets.size(); ++i) {
    if (auto problem = check_set(at("backend_sets", i), spec.backend_sets[i])) return problem;
  }
  return check_frontends(spec);
}

}  // namespace

net::Result<void> check(const ServiceSpec& spec) {
  if (spec.name.empty() || spec.name.size() > kMaxServiceNameBytes) {
    return net::invalid_argument("name: " + std::to_string(spec.name.size()) + " bytes, want 1 to " +
                                 std::to_string(kMaxServiceNameBytes));
  }
  auto problem = check_all(spec);
  if (!problem) return {};
  problem->message.insert(0, "service " + spec.name + ": ");
  return std::move(*problem);
}

std::string frontend_text(const net::IpAddress& address, std::uint8_t protocol, std::uint16_t port) {
  using namespace net::ip_protocol;
  const char* name = protocol == kTcp ? "tcp" : protocol == kUdp ? "udp" : protocol == kSctp ? "sctp" : "?";
  return address.to_string() + " port " + std::to_string(port) + "/" + name;
}

}  // namespace millrace::nat
