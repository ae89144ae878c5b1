#include "control/agent/derived_objects.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "control/agent/services/derived_slices.h"
#include "control/agent/services/pod_index.h"

namespace millrace::control::agent {
namespace {

using services::EndpointSources;

/// Reads a store once for all services of a namespace, or of all.
class Sources {
 public:
  Sources(const ObjectStore& store, const std::string& name_space) : store_(store), name_space_(name_space) {
    for (auto& pod : store.list<kube::Pod>()) {
      if (is_ours(pod->meta)) pods_.change_pod(nullptr, pod);
    }
    for (auto& slice : store.list<kube::EndpointSlice>()) {
      if (!is_ours(slice->meta)) continue;
      slices_[{slice->meta.name_space, std::string(slice->service_name())}].push_back(slice);
    }
  }

  bool is_ours(const kube::Metadata& meta) const { return name_space_.empty() || meta.name_space == name_space_; }

  EndpointSources of(const kube::Service& service) const {
    EndpointSources sources;
    const auto found = slices_.find({service.meta.name_space, service.meta.name});
    if (found != slices_.end()) sources.slices = found->second;
    const ObjectRef endpoints = store_.find({kube::Kind::kEndpoints, service.meta.name_space, service.meta.name});
    if (endpoints) sources.endpoints = {endpoints, &std::get<kube::Endpoints>(*endpoints)};
    sources.pods = pods_.selected_by(service);
    return sources;
  }

 private:
  const ObjectStore& store_;
  const std::string& name_space_;
  services::PodIndex pods_;
  std::map<std::pair<std::string, std::string>, std::vector<std::shared_ptr<const kube::EndpointSlice>>> slices_;
};

ObjectRef ref(auto&& object) { return std::make_shared<const kube::Object>(std::forward<decltype(object)>(object)); }

}  // namespace

std::vector<ObjectRef> derived_objects(const ObjectStore& store, kube::Kind kind, const std::string& name_space) {
  std::vector<ObjectRef> derived;
  if (kind != kube::Kind::kEndpointSlice && kind != kube::Kind::kEndpoints) return derived;
  const Sources sources(store, name_space);
  for (const auto& service : store.list<kube::Service>()) {
    if (!sources.is_ours(service->meta) || service->selector.empty()) continue;
    const EndpointSources own = sources.of(*service);
    if (kind == kube::Kind::kEndpoints) {
      if (auto endpoints = services::derived_endpoints(*service, own)) derived.push_back(ref(*std::move(endpoints)));
      continue;
    }
    for (kube::EndpointSlice& slice : services::derived_slices(*service, own)) derived.push_back(ref(std::move(slice)));
  }
  return derived;
}

const std::string& service_of_derived(const kube::Object& object) {
  const auto* slice = std::get_if<kube::EndpointSlice>(&object);
  return slice == nullptr ? kube::meta_of(object).name : slice->meta.labels.find(kube::kServiceNameLabel)->second;
}

net::Result<void> check_not_derived(const kube::Object& object) {
  const kube::Labels& labels = kube::meta_of(object).labels;
  for (const std::string_view label : {services::kSliceManagerLabel, services::kEndpointsManagerLabel}) {
    const auto found = labels.find(label);
    if (found == labels.end() || found->second != services::kManager) continue;
    return net::invalid_argument(
        fmt::format("metadata.labels: {} is {}: it follows from the Service's selector and is not stored; allowed: "
                    "without the label, and then it stays whatever pods there are",
                    label, services::kManager));
  }
  return {};
}

}  // namespace millrace::control::agent
