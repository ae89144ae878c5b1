/// Cluster addresses and node ports: which are taken, and which a Service gets.
///
/// Shape:   a Service that asks for an address or a port gets it or an error; one that does not gets one from the upper
///          part of the range: the lower band is left for those that ask, as Kubernetes does it (KEP-3070, KEP-3668).
///          Where the search begins follows from the Service's name, so a Service that is deleted and made again has
///          its old address unless somebody else took it. A node port belongs to one Service, whatever its protocols;
///          that is Kubernetes' rule.
/// Errors:  kInvalidArgument "spec.clusterIP: ...; allowed: ..." for what is outside of the range, kAlreadyExists
///          naming the Service that has it, kResourceExhausted naming the range.
/// Thread:  one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/kube/object.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::control::agent {

struct ServiceRanges {
  std::optional<net::Prefix> ipv4;
  std::optional<net::Prefix> ipv6;
  std::uint16_t first_node_port = 30000;
  std::uint16_t last_node_port = 32767;

  const std::optional<net::Prefix>& of(std::uint8_t family) const { return family == 4 ? ipv4 : ipv6; }
};

/// The addresses and ports that Services have, by owner ("namespace/name").
class ServiceClaims {
 public:
  void add(const kube::Service& service);
  /// Of a service that was added; what another one has since is left to it.
  void remove(const kube::Service& service);
  void give(const net::IpAddress& address, const std::string& owner) { addresses_[address] = owner; }
  void give(std::uint16_t port, const std::string& owner) { ports_[port] = owner; }
  // Of a service that cannot be read: they are taken, too, as long as no other service has them.
  void reserve(const net::IpAddress& address, const std::string& owner) { reserved_addresses_[address] = owner; }
  void reserve(std::uint16_t port, const std::string& owner) { reserved_ports_[port] = owner; }
  void unreserve(const net::IpAddress& address) { reserved_addresses_.erase(address); }
  void unreserve(std::uint16_t port) { reserved_ports_.erase(port); }
  /// nullptr: nobody.
  const std::string* owner_of(const net::IpAddress& address) const;
  const std::string* owner_of(std::uint16_t port) const;

 private:
  std::map<net::IpAddress, std::string> addresses_, reserved_addresses_;
  std::map<std::uint16_t, std::string> ports_, reserved_ports_;
};

/// Allocation for the Services of one request, which gives them all they ask for, or an error. Costs what it asks for,
/// however many Services there are.
class ServiceAllocator {
 public:
  /// `stored` is what Services have; those of the services that are asked for again (`asked`, their names as in
  /// ServiceClaims) are free in this request. A stored one may lie outside of a range that was changed since.
  ServiceAllocator(const ServiceRanges& ranges, const ServiceClaims& stored, std::set<std::string> asked)
      : ranges_(ranges), stored_(stored), asked_(std::move(asked)) {}

  /// Fills in what `service` leaves open and `before`, its stored form, has; what cannot change must not.
  net::Result<void> keep(kube::Service& service, const kube::Service* before) const;
  /// Decides the families, and takes what the service asks for. Those of one request that ask come before any `fill`.
  net::Result<void> claim(kube::Service& service);
  /// Gives it the rest.
  net::Result<void> fill(kube::Service& service);

 private:
  net::Result<void> decide_families(kube::Service& service) const;
  net::Result<void> claim_address(const kube::Service& service, const net::IpAddress& address);
  net::Result<void> claim_port(const kube::Service& service, const std::string& field, std::uint16_t port);
  net::Result<net::IpAddress> free_address(const kube::Service& service, std::uint8_t family) const;
  net::Result<std::uint16_t> free_port(const kube::Service& service) const;
  /// Who has an address or a port in this request.
  const std::string* owner_of(const auto& what) const;

  const ServiceRanges& ranges_;
  const ServiceClaims& stored_;
  const std::set<std::string> asked_;
  ServiceClaims given_;  // in this request
};

/// "namespace/name".
std::string owner_name(const kube::Service& service);

}  // namespace millrace::control::agent
