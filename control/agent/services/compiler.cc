#include "control/agent/services/compiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "control/agent/requests.h"

namespace millrace::control::agent::services {
namespace {

template <typename T>
std::shared_ptr<const T> as(const ObjectRef& object) {
  return object ? std::shared_ptr<const T>(object, std::get_if<T>(object.get())) : nullptr;
}

kube::ObjectKey service_key(std::string_view name_space, std::string_view name) {
  return {kube::Kind::kService, std::string(name_space), std::string(name)};
}

}  // namespace

void Compiler::note(const ObjectChange& change) {
  switch (change.key.kind) {
    case kube::Kind::kService: {
      Entry& entry = entries_[change.key];
      auto after = as<kube::Service>(change.after);
      pods_.change_service(entry.service.get(), after.get());
      entry.service = std::move(after);
      touched_.insert(change.key);
      return;
    }
    case kube::Kind::kEndpointSlice: {
      if (auto before = as<kube::EndpointSlice>(change.before)) note_slice(*before, nullptr);
      if (auto after = as<kube::EndpointSlice>(change.after)) note_slice(*after, after);
      return;
    }
    case kube::Kind::kEndpoints: {
      const kube::ObjectKey key = service_key(change.key.name_space, change.key.name);
      entries_[key].endpoints = as<kube::Endpoints>(change.after);
      touched_.insert(key);
      return;
    }
    case kube::Kind::kPod: {
      touched_.merge(pods_.change_pod(as<kube::Pod>(change.before), as<kube::Pod>(change.after)));
      return;
    }
    case kube::Kind::kNode: {
      if (change.key.name != node_.name) return;
      const auto after = as<kube::Node>(change.after);
      const std::string zone(after ? after->zone() : std::string_view());
      if (std::exchange(node_.zone, zone) != zone) touch_all();
      return;
    }
    case kube::Kind::kNamespace:
    case kube::Kind::kNetworkPolicy: return;  // mean nothing to Services
  }
}

void Compiler::note_slice(const kube::EndpointSlice& slice, const std::shared_ptr<const kube::EndpointSlice>& after) {
  if (slice.service_name().empty()) return;
  const kube::ObjectKey key = service_key(slice.meta.name_space, slice.service_name());
  Entry& entry = entries_[key];
  if (after) {
    entry.slices[slice.meta.name] = after;
  } else {
    entry.slices.erase(slice.meta.name);
  }
  touched_.insert(key);
}

void Compiler::set_node_addresses(std::vector<net::IpAddress> addresses) {
  if (std::exchange(node_.addresses, addresses) != addresses) touch_all();
}

void Compiler::touch_all() {
  for (const auto& [key, entry] : entries_) touched_.insert(key);
}

Changes Compiler::take_changes() {
  Changes changes;
  for (const kube::ObjectKey& key : std::exchange(touched_, {})) compile_one(key, changes);
  for (const std::string& name : std::exchange(touched_names_, {})) emit(name, changes);
  return changes;
}

void Compiler::compile_one(const kube::ObjectKey& key, Changes& changes) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  for (const std::string& name : std::exchange(entry.names, {})) {
    Made& made = made_[name];
    claims_.withdraw(made.wanted, touched_names_);
    made.gone = true;
    touched_names_.insert(name);
  }
  Compiled compiled;
  if (entry.service) {
    EndpointSources sources;
    for (const auto& [name, slice] : entry.slices) sources.slices.push_back(slice);
    sources.endpoints = entry.endpoints;
    if (!sources.endpoints) sources.pods = pods_.selected_by(*entry.service);
    compiled = compile(*entry.service, sources, node_);
    std::set<std::string> own;
    for (const net::IpAddress& address : entry.service->cluster_ips) own.insert(to_bytes(address));
    for (api::Service& service : compiled.services) {
      claims_.place(service, own, touched_names_);
      const std::string name = service.name();
      entry.names.push_back(name);
      touched_names_.insert(name);
      Made& made = made_[name];
      made.wanted = std::move(service);
      made.gone = false;
    }
  }
  note_health(key, entry, compiled.local_ready);
  for (const std::string& problem : compiled.problems) {
    if (std::ranges::find(entry.problems, problem) == entry.problems.end()) changes.problems.push_back(problem);
  }
  entry.problems = std::move(compiled.problems);
  if (entry.is_empty()) entries_.erase(found);
}

void Compiler::note_health(const kube::ObjectKey& key, const Entry& entry, std::size_t local_endpoints) {
  const kube::Service* service = entry.service.get();
  if (service == nullptr || !is_proxied(*service) || service->health_check_node_port == 0 ||
      service->type != kube::ServiceType::kLoadBalancer ||
      service->external_traffic_policy != kube::TrafficPolicy::kLocal) {
    health_.erase(key);
    return;
  }
  health_[key] = {service->health_check_node_port, local_endpoints};
}

void Compiler::emit(const std::string& name, Changes& changes) {
  const auto found = made_.find(name);
  if (found == made_.end()) return;
  Made& made = found->second;
  api::Service service;
  std::vector<std::string> lost;
  if (!made.gone) {
    service = made.wanted;
    auto* frontends = service.mutable_frontends();
    const auto is_lost = [&](const api::Frontend& frontend) {
      const std::string& owner = claims_.owner(frontend);
      if (owner == name) return false;
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(frontend.address().data());
      auto address = net::IpAddress::from_bytes({bytes, frontend.address().size()});
      lost.push_back(fmt::format("service {}: address {} port {} is that of service {}", name,
                                 address ? address->to_string() : "?", frontend.port(), owner));
      return true;
    };
    frontends->erase(std::remove_if(frontends->begin(), frontends->end(), is_lost), frontends->end());
  }
  for (const std::string& problem : lost) {
    if (std::ranges::find(made.lost, problem) == made.lost.end()) changes.problems.push_back(problem);
  }
  made.lost = std::move(lost);
  std::string bytes;
  if (service.frontends_size() > 0) bytes = service.SerializeAsString();
  if (bytes != made.sent) {
    if (bytes.empty()) {
      changes.removes.push_back(name);
    } else {
      changes.upserts.push_back(std::move(service));
    }
    made.sent = std::move(bytes);
  }
  if (made.gone) made_.erase(found);
}

}  // namespace millrace::control::agent::services
