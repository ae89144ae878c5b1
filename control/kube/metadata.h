/// What every Kubernetes object has: its kind and its metadata.
///
/// Shape:   plain values, as a manifest gives them, defaults filled in. Absent text is "", an absent map is empty.
/// Thread:  plain values, any thread.
/// Source:  k8s.io/apimachinery/pkg/apis/meta/v1 (ObjectMeta).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace millrace::control::kube {

enum class Kind : std::uint8_t { kNamespace, kNode, kPod, kService, kEndpoints, kEndpointSlice, kNetworkPolicy };
inline constexpr std::array kKinds = {Kind::kNamespace, Kind::kNode,          Kind::kPod,          Kind::kService,
                                      Kind::kEndpoints, Kind::kEndpointSlice, Kind::kNetworkPolicy};

inline constexpr std::string_view kDefaultNamespace = "default";

// Labels that the objects' meaning hangs on.
inline constexpr std::string_view kServiceNameLabel = "kubernetes.io/service-name";  // of an EndpointSlice
inline constexpr std::string_view kServiceProxyNameLabel = "service.kubernetes.io/service-proxy-name";
inline constexpr std::string_view kHeadlessLabel = "service.kubernetes.io/headless";
inline constexpr std::string_view kNamespaceNameLabel = "kubernetes.io/metadata.name";  // every Namespace has it
inline constexpr std::string_view kZoneLabel = "topology.kubernetes.io/zone";           // of a Node

using Labels = std::map<std::string, std::string, std::less<>>;

struct Metadata {
  std::string name;
  std::string name_space;  // "" for kinds that are in no namespace (Namespace, Node)
  std::string uid;         // "" when nobody gave one
  Labels labels;
  Labels annotations;
  bool deleting = false;  // deletionTimestamp is set
  friend bool operator==(const Metadata&, const Metadata&) = default;
};

/// Which object: unique in a cluster.
struct ObjectKey {
  Kind kind = Kind::kService;
  std::string name_space;
  std::string name;
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};

}  // namespace millrace::control::kube
