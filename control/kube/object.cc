#include "control/kube/object.h"

#include <algorithm>

#include <fmt/format.h>

namespace millrace::control::kube {
namespace {

// In the order of Kind.
constexpr std::array<KindNames, kKinds.size()> kNames = {{
    {Kind::kNamespace, "Namespace", "v1", "namespaces", "namespace", "ns", "namespace", false},
    {Kind::kNode, "Node", "v1", "nodes", "node", "no", "node", false},
    {Kind::kPod, "Pod", "v1", "pods", "pod", "po", "pod", true},
    {Kind::kService, "Service", "v1", "services", "service", "svc", "service", true},
    {Kind::kEndpoints, "Endpoints", "v1", "endpoints", "endpoints", "ep", "endpoints", true},
    {Kind::kEndpointSlice, "EndpointSlice", "discovery.k8s.io/v1", "endpointslices", "endpointslice", "",
     "endpointslice.discovery.k8s.io", true},
    {Kind::kNetworkPolicy, "NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", "networkpolicy", "netpol",
     "networkpolicy.networking.k8s.io", true},
}};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace

const KindNames& names_of(Kind kind) { return kNames[static_cast<std::size_t>(kind)]; }

const KindNames* find_kind(std::string_view name) {
  const auto found = std::ranges::find(kNames, name, &KindNames::name);
  return found == kNames.end() ? nullptr : &*found;
}

const KindNames* find_kind_word(std::string_view word) {
  const std::string wanted = lower(word);
  if (wanted.empty()) return nullptr;
  const auto found = std::ranges::find_if(kNames, [&](const KindNames& names) {
    return wanted == names.plural || wanted == names.singular || wanted == names.short_name ||
           wanted == names.result_name;
  });
  return found == kNames.end() ? nullptr : &*found;
}

const Metadata& meta_of(const Object& object) {
  return std::visit([](const auto& typed) -> const Metadata& { return typed.meta; }, object);
}

ObjectKey key_of(const Object& object) {
  const Metadata& meta = meta_of(object);
  return {kind_of(object), meta.name_space, meta.name};
}

std::string to_string(const ObjectKey& key) {
  const std::string_view kind = names_of(key.kind).singular;
  return key.name_space.empty() ? fmt::format("{}/{}", kind, key.name)
                                : fmt::format("{}/{}/{}", kind, key.name_space, key.name);
}

}  // namespace millrace::control::kube
