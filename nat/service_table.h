/// Services: frontends and the backends behind them, as workers read them.
///
/// Shape:   a frontend is an address, a protocol and a port. For each kind of source (a pod, the node itself, anything
///          from outside) it has a rule: balance over one of the service's backend sets, with or without masquerade, or
///          reject, or drop. No rule knows Kubernetes: the agent compiles policies of traffic, terminating endpoints and
///          the like into sets and rules.
///          A set chooses by Maglev (Eisenbud et al., NSDI 2016): a table of at least kMaglevFactor entries a backend,
///          a prime, indexed by a hash of the flow.
///          Services are immutable and shared by the tables before and after a change: only what changed is built again.
/// Thread:  built by control, off the workers; then immutable, lookups from any worker. Lookups never allocate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/result.h"

namespace millrace::nat {

inline constexpr std::size_t kMaxServices = 65'536;
inline constexpr std::size_t kMaxFrontends = 262'144;  // of all services
inline constexpr std::size_t kMaxBackends = 1'000'000;  // of all services
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
  friend bool operator==(const Backend&, const Backend&) = default;
};

// --- what control says ---

struct FrontendRule {
  FrontendAction action = FrontendAction::kReject;
  std::uint16_t backend_set = 0;  // index into ServiceSpec::backend_sets, for kBalance; an empty set rejects
  bool masquerade = false;
};

struct FrontendSpec {
  net::IpAddress address;
  std::uint8_t protocol = 0;  // TCP, UDP, SCTP
  std::uint16_t port = 0;     // 1..65535
  FrontendRule rules[kSourceKinds];
  std::vector<net::Prefix> source_ranges;  // empty: all; others are dropped (Drop::kSourceRange)
};

struct ServiceSpec {
  std::string name;  // unique; for people: "default/web:http"
  std::uint32_t affinity_seconds = 0;  // 0: none; by client address
  std::vector<std::vector<Backend>> backend_sets;  // of one family each; in the order given
  std::vector<FrontendSpec> frontends;
};

/// A checked service with its Maglev tables. Immutable.
class Service;
/// Error: kInvalidArgument or kResourceExhausted naming the field ("frontends[2].port") and the limit.
net::Result<std::shared_ptr<const Service>> build_service(const ServiceSpec& spec);
const std::string& name_of(const Service& service) noexcept;

// --- what workers read ---

/// A backend set as the dataplane sees it.
class BackendSet;

struct ServiceChoice {
  const Service* service = nullptr;
  const Backend* backend = nullptr;  // nullptr: reject or drop
  FrontendAction action = FrontendAction::kReject;
  bool masquerade = false;
};

enum class FrontendMatch : std::uint8_t {
  kNone,        // the address is no frontend's
  kNoPort,      // the address is a frontend's, the port is not: reject
  kOutOfRange,  // the source is in none of the ranges: drop
  kFound,
};

class ServiceTable {
 public:
  /// Error: kInvalidArgument for a frontend of two services (both named), kResourceExhausted naming the limit.
  static net::Result<std::shared_ptr<const ServiceTable>> build(std::vector<std::shared_ptr<const Service>> services);
  ~ServiceTable();

  /// Which service a new flow is for, and its backend. `flow_hash` chooses; for a service with affinity the client's
  /// address alone does. Ports host order.
  template <typename Address>
  FrontendMatch choose(const Address& source, const Address& destination, std::uint8_t protocol,
                       std::uint16_t destination_port, SourceKind from, std::uint64_t flow_hash,
                       ServiceChoice& choice) const noexcept;
  /// Whether the backend is still one of those the frontend may choose for this kind of source.
  template <typename Address>
  bool has_backend(const Address& destination, std::uint8_t protocol, std::uint16_t destination_port, SourceKind from,
                   const Address& backend, std::uint16_t backend_port) const noexcept;
  /// Seconds of affinity of a service; 0: none. And a number of it that stays the same across tables, for AffinityTable.
  static std::uint32_t affinity_seconds(const Service& service) noexcept;
  static std::uint64_t affinity_id(const Service& service) noexcept;

  std::size_t service_count() const noexcept;
  std::size_t frontend_count() const noexcept;
  std::size_t backend_count() const noexcept;

 private:
  struct Tables;
  std::unique_ptr<const Tables> tables_;  // contract sketch
};

}  // namespace millrace::nat
