#include "control/agent/services/pod_index.h"

#include "control/agent/services/endpoints.h"

namespace millrace::control::agent::services {
namespace {

kube::ObjectKey key_of(const kube::Service& service) {
  return {kube::Kind::kService, service.meta.name_space, service.meta.name};
}

}  // namespace

void PodIndex::add_services_of(const kube::Pod& pod, std::set<kube::ObjectKey>& services) const {
  for (const auto& [key, value] : pod.meta.labels) {
    const auto listed = services_.find({pod.meta.name_space, key, value});
    if (listed == services_.end()) continue;
    for (const Chooser& chooser : listed->second) {
      if (selects(chooser.selector, pod.meta.labels)) services.insert(chooser.service);
    }
  }
}

std::set<kube::ObjectKey> PodIndex::change_pod(const PodRef& before, const PodRef& after) {
  std::set<kube::ObjectKey> services;
  if (before) {
    add_services_of(*before, services);
    for (const auto& [key, value] : before->meta.labels) {
      const auto listed = pods_.find({before->meta.name_space, key, value});
      if (listed == pods_.end()) continue;
      listed->second.erase(before->meta.name);
      if (listed->second.empty()) pods_.erase(listed);
    }
  }
  if (after) {
    add_services_of(*after, services);
    for (const auto& [key, value] : after->meta.labels) {
      pods_[{after->meta.name_space, key, value}][after->meta.name] = after;
    }
  }
  return services;
}

void PodIndex::change_service(const kube::Service* before, const kube::Service* after) {
  if (before != nullptr && !before->selector.empty()) {
    const auto& [key, value] = *before->selector.begin();
    const auto listed = services_.find({before->meta.name_space, key, value});
    if (listed != services_.end()) {
      listed->second.erase({key_of(*before), {}});
      if (listed->second.empty()) services_.erase(listed);
    }
  }
  if (after != nullptr && !after->selector.empty()) {
    const auto& [key, value] = *after->selector.begin();
    services_[{after->meta.name_space, key, value}].insert({key_of(*after), after->selector});
  }
}

std::vector<PodIndex::PodRef> PodIndex::selected_by(const kube::Service& service) const {
  const std::map<std::string, PodRef>* shortest = nullptr;
  for (const auto& [key, value] : service.selector) {
    const auto listed = pods_.find({service.meta.name_space, key, value});
    if (listed == pods_.end()) return {};
    if (shortest == nullptr || listed->second.size() < shortest->size()) shortest = &listed->second;
  }
  std::vector<PodRef> found;
  if (shortest == nullptr) return found;
  for (const auto& [name, pod] : *shortest) {
    if (selects(service.selector, pod->meta.labels)) found.push_back(pod);
  }
  return found;
}

}  // namespace millrace::control::agent::services
