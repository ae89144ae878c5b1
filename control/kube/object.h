/// An object of any kind that Millrace knows.
///
/// Shape:   kind_of<T> is the Kind of a type; the variant's alternatives are in the order of Kind.
/// Thread:  plain values, any thread.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "control/kube/endpoints.h"
#include "control/kube/metadata.h"
#include "control/kube/network_policy.h"
#include "control/kube/pod.h"
#include "control/kube/service.h"

namespace millrace::control::kube {

using Object = std::variant<Namespace, Node, Pod, Service, Endpoints, EndpointSlice, NetworkPolicy>;

template <typename T>
inline constexpr Kind kKindOf = [] {
  static_assert(sizeof(T) == 0, "no kind of Kubernetes object");
  return Kind::kService;
}();
template <>
inline constexpr Kind kKindOf<Namespace> = Kind::kNamespace;
template <>
inline constexpr Kind kKindOf<Node> = Kind::kNode;
template <>
inline constexpr Kind kKindOf<Pod> = Kind::kPod;
template <>
inline constexpr Kind kKindOf<Service> = Kind::kService;
template <>
inline constexpr Kind kKindOf<Endpoints> = Kind::kEndpoints;
template <>
inline constexpr Kind kKindOf<EndpointSlice> = Kind::kEndpointSlice;
template <>
inline constexpr Kind kKindOf<NetworkPolicy> = Kind::kNetworkPolicy;

/// How a kind is written.
struct KindNames {
  Kind kind;
  std::string_view name;         // "EndpointSlice", as in `kind:`
  std::string_view api_version;  // "discovery.k8s.io/v1"
  std::string_view plural;       // "endpointslices", as people ask for it
  std::string_view singular;     // "endpointslice"
  std::string_view short_name;   // "svc"; "" none
  std::string_view result_name;  // "endpointslice.discovery.k8s.io", as kubectl tells what it did
  bool has_namespace;
};
const KindNames& names_of(Kind kind);
/// nullptr: no such kind. By `kind:`, or as people write it: plural, singular or short, any case.
const KindNames* find_kind(std::string_view name);
const KindNames* find_kind_word(std::string_view word);

inline Kind kind_of(const Object& object) { return static_cast<Kind>(object.index()); }
const Metadata& meta_of(const Object& object);
ObjectKey key_of(const Object& object);
/// "service/default/web": for people and logs; a node is "node/n1".
std::string to_string(const ObjectKey& key);

}  // namespace millrace::control::kube
