/// Services: frontends and the backends behind them, as workers read them.
///
/// Shape:   what a service is stands in nat/service_spec.h; how it is compiled, in nat/service.h. The table finds a
///          frontend by address, protocol and port (nat/frontend_table.h).
///          A set chooses by Maglev (nat/maglev.h), indexed by a hash of the flow, or of the client's address alone for
///          a service with affinity. Services are immutable and shared by the tables before and after a change: only
///          what changed is built again, and the two tables of keys.
/// Thread:  built by control, off the workers; then immutable, lookups from any worker. Lookups never allocate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nat/frontend_table.h"
#include "nat/service_spec.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::nat {

/// A checked service with its Maglev tables. Immutable.
class Service;
struct Frontend;
/// Error: kInvalidArgument or kResourceExhausted naming the field ("frontends[2].port") and the limit.
net::Result<std::shared_ptr<const Service>> build_service(const ServiceSpec& spec);
const std::string& name_of(const Service& service) noexcept;

struct ServiceChoice {
  const Service* service = nullptr;
  const Backend* backend = nullptr;  // nullptr: reject or drop; lives as long as the service
  FrontendAction action = FrontendAction::kReject;
  bool masquerade = false;
  bool has_affinity = false;
};

/// What a new flow asks; ports host order.
template <typename Address>
struct ServiceQuestion {
  Address source;
  Address destination;
  std::uint64_t flow_hash = 0;  // every bit of it counts
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;
  SourceKind from = SourceKind::kPod;
};
/// Most questions of one foresee().
inline constexpr unsigned kForeseeBurst = 64;

enum class FrontendMatch : std::uint8_t {
  kNone,        // the address is no frontend's
  kNoPort,      // the address is a frontend's, the port is not: reject inside of the service range, let be elsewhere
  kOutOfRange,  // the source is in none of the ranges: drop; the choice names the service
  kFound,
};

class ServiceTable {
 public:
  /// Error: kInvalidArgument for a frontend of two services (both named) or a name of two, kResourceExhausted naming
  /// the limit. Precondition: no service is nullptr.
  static net::Result<std::shared_ptr<const ServiceTable>> build(std::vector<std::shared_ptr<const Service>> services);
  ~ServiceTable();

  /// Which service a new flow is for, and its backend. `flow_hash` chooses, every bit of it counts; for a service with
  /// affinity the client's address alone does. Ports host order. `choice` is written for kOutOfRange and kFound.
  template <typename Address>
  FrontendMatch choose(const Address& source, const Address& destination, std::uint8_t protocol,
                       std::uint16_t destination_port, SourceKind from, std::uint64_t flow_hash,
                       ServiceChoice& choice) const noexcept;
  /// Brings to the cache what choose() will read for these questions, for all of them at once: alone, each choice waits
  /// four times for memory. backends[i] is the backend that choose() would say, nullptr for none, source ranges not
  /// asked. At most kForeseeBurst.
  template <typename Address>
  void foresee(std::span<const ServiceQuestion<Address>> questions, std::span<const Backend*> backends) const noexcept;
  /// Whether the backend is still one of those the frontend may choose for this kind of source. Source ranges are not
  /// asked: they are about new flows.
  template <typename Address>
  bool has_backend(const Address& destination, std::uint8_t protocol, std::uint16_t destination_port, SourceKind from,
                   const Address& backend, std::uint16_t backend_port) const noexcept;
  /// Whose frontend it is; nullptr: nobody's. For reports.
  const Service* service_of(const net::IpAddress& address, std::uint8_t protocol, std::uint16_t port) const noexcept;
  /// Seconds of affinity of a service; 0: none. And a number of it that stays the same across tables, for
  /// AffinityTable.
  static std::uint32_t affinity_seconds(const Service& service) noexcept;
  static std::uint64_t affinity_id(const Service& service) noexcept;

  const std::vector<std::shared_ptr<const Service>>& services() const noexcept { return services_; }
  std::size_t service_count() const noexcept { return services_.size(); }
  std::size_t frontend_count() const noexcept { return frontend_count_; }
  /// A backend counts once in each distinct set of each service.
  std::size_t backend_count() const noexcept { return backend_count_; }
  /// Of the table itself, without its services.
  std::size_t memory_bytes() const noexcept {
    return sizeof *this + v4_.memory_bytes() + v6_.memory_bytes() + services_.capacity() * sizeof services_[0];
  }

 private:
  ServiceTable(std::vector<std::shared_ptr<const Service>> services, std::size_t v4_frontends, std::size_t v6_frontends,
               std::size_t backend_count);
  net::Result<void> insert(const Service& service);
  template <typename Address>
  const FrontendTable<Address>& table() const noexcept;

  FrontendTable<net::Ipv4> v4_;
  FrontendTable<net::Ipv6> v6_;
  std::vector<std::shared_ptr<const Service>> services_;
  std::size_t frontend_count_ = 0;
  std::size_t backend_count_ = 0;
};

}  // namespace millrace::nat
