/// Service specs: what control says of services, and the limits it is held to.
///
/// Shape:   a frontend is an address, a protocol and a port. For each kind of source (a pod, the node itself, anything
///          from outside) it has a rule: balance over one of the service's backend sets, with or without masquerade, or
///          reject, or drop. No rule knows Kubernetes: the agent compiles policies of traffic, terminating endpoints
///          and the like into sets and rules.
/// Errors:  check() names the field ("frontends[2].port") and the limit.
/// Thread:  plain values; control.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/result.h"

namespace millrace::nat {

inline constexpr std::size_t kMaxServices = 65'536;
inline constexpr std::size_t kMaxFrontends = 262'144;   // of all services
inline constexpr std::size_t kMaxBackends = 1'000'000;  // of all services; a backend counts once in each distinct set
inline constexpr std::size_t kMaxServiceNameBytes = 253;
inline constexpr std::size_t kMaxBackendSetsPerService = 64;
inline constexpr std::size_t kMaxBackendsPerSet = 5'000;
inline constexpr std::size_t kMaxFrontendsPerService = 4'096;
inline constexpr std::size_t kMaxSourceRanges = 64;
inline constexpr std::uint32_t kMaxAffinitySeconds = 86'400;

enum class SourceKind : std::uint8_t { kPod, kNode, kExternal };
inline constexpr unsigned kSourceKinds = 3;

enum class FrontendAction : std::uint8_t { kBalance, kReject, kDrop };

struct Backend {
  net::IpAddress address;
  std::uint16_t port = 0;
  friend auto operator<=>(const Backend&, const Backend&) = default;
};

struct FrontendRule {
  FrontendAction action = FrontendAction::kReject;
  std::uint16_t backend_set = 0;  // index into ServiceSpec::backend_sets, for kBalance; an empty set rejects
  bool masquerade = false;        // for kBalance
};

struct FrontendSpec {
  net::IpAddress address;
  std::uint8_t protocol = 0;  // TCP, UDP, SCTP
  std::uint16_t port = 0;     // 1..65535
  FrontendRule rules[kSourceKinds];
  /// Empty: all; others are dropped (Drop::kSourceRange), whatever their kind. Ranges of the other family let nothing
  /// in.
  std::vector<net::Prefix> source_ranges;
};

struct ServiceSpec {
  std::string name;                                // unique; for people: "default/web:http"
  std::uint32_t affinity_seconds = 0;              // 0: none; by client address
  std::vector<std::vector<Backend>> backend_sets;  // of one family each, no backend twice; their order says nothing
  std::vector<FrontendSpec> frontends;
};

/// Error: kInvalidArgument or kResourceExhausted, the service, the field and the limit named.
net::Result<void> check(const ServiceSpec& spec);

/// "10.96.0.1 port 80/tcp", for messages.
std::string frontend_text(const net::IpAddress& address, std::uint8_t protocol, std::uint16_t port);

}  // namespace millrace::nat
