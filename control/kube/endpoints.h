/// EndpointSlice, and Endpoints, its older form: the addresses behind a Service.
///
/// Shape:   a slice is one address family. Its ports hold for all of its endpoints. A condition that is absent means
///          ready, serving, not terminating. Endpoints has the name of its Service; a slice names it in a label.
/// Thread:  plain values, any thread.
/// Source:  k8s.io/api/discovery/v1, k8s.io/api/core/v1 (Endpoints).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/kube/metadata.h"
#include "control/kube/service.h"
#include "net/address.h"

namespace millrace::control::kube {

inline constexpr std::size_t kMaxSliceEndpoints = 1000;
inline constexpr std::size_t kMaxEndpointAddresses = 100;

enum class AddressType : std::uint8_t { kIpv4, kIpv6, kFqdn };

struct EndpointPort {
  std::string name;
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0;  // 0: none is given, which a proxy leaves alone
  friend bool operator==(const EndpointPort&, const EndpointPort&) = default;
};

/// The object behind an address; empty when none is named.
struct TargetRef {
  std::string kind;
  std::string name_space;
  std::string name;
  friend bool operator==(const TargetRef&, const TargetRef&) = default;
};

struct Endpoint {
  std::vector<net::IpAddress> addresses;  // all the same endpoint; a proxy uses the first. Empty for FQDN
  std::optional<bool> ready;
  std::optional<bool> serving;
  std::optional<bool> terminating;
  std::string node_name;  // "" unknown
  std::string zone;
  std::vector<std::string> hint_zones;  // hints.forZones
  std::vector<std::string> hint_nodes;  // hints.forNodes
  TargetRef target;

  bool is_ready() const { return ready.value_or(true); }
  bool is_serving() const { return serving.value_or(is_ready()); }
  bool is_terminating() const { return terminating.value_or(false); }
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

struct EndpointSlice {
  Metadata meta;
  AddressType address_type = AddressType::kIpv4;
  std::vector<EndpointPort> ports;
  std::vector<Endpoint> endpoints;

  /// Of the Service in the same namespace; "" when the label is absent.
  std::string_view service_name() const {
    const auto found = meta.labels.find(kServiceNameLabel);
    return found == meta.labels.end() ? std::string_view() : found->second;
  }
  friend bool operator==(const EndpointSlice&, const EndpointSlice&) = default;
};

struct EndpointAddress {
  net::IpAddress ip;
  std::string node_name;
  TargetRef target;
  friend bool operator==(const EndpointAddress&, const EndpointAddress&) = default;
};

struct EndpointSubset {
  std::vector<EndpointAddress> addresses;
  std::vector<EndpointAddress> not_ready_addresses;
  std::vector<EndpointPort> ports;
  friend bool operator==(const EndpointSubset&, const EndpointSubset&) = default;
};

struct Endpoints {
  Metadata meta;
  std::vector<EndpointSubset> subsets;
  friend bool operator==(const Endpoints&, const Endpoints&) = default;
};

}  // namespace millrace::control::kube
