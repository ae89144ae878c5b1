#include "control/agent/object_requests.h"

#include <set>

#include <fmt/format.h>

#include "control/agent/json_depth.h"

namespace millrace::control::agent {
namespace {

using Json = nlohmann::json;

void to_message(const kube::ObjectKey& key, api::ObjectName& message) {
  message.set_kind(std::string(kube::names_of(key.kind).name));
  message.set_namespace_(key.name_space);
  message.set_name(key.name);
}

}  // namespace

net::Result<std::vector<kube::Manifest>> to_manifests(const api::ApplyObjectsRequest& message) {
  std::vector<kube::Manifest> manifests;
  std::set<kube::ObjectKey> keys;
  for (int i = 0; i < message.objects_size(); ++i) {
    const auto fail = [&](const std::string& wrong) {
      return net::invalid_argument(fmt::format("objects[{}]: {}", i, wrong));
    };
    const std::string& text = message.objects(i);
    if (is_too_deep(text)) return fail("is nested too deeply; allowed: 64 levels");
    const Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded()) return fail("is not JSON");
    auto manifest = kube::parse_object(json);
    if (!manifest) return fail(manifest.error().message);
    const kube::ObjectKey key = kube::key_of(manifest->object);
    if (!keys.insert(key).second) {
      return fail(fmt::format("{} is there twice; allowed: each object once", kube::to_string(key)));
    }
    manifests.push_back(*std::move(manifest));
  }
  return manifests;
}

net::Result<kube::Kind> to_kind(const std::string& field, const std::string& name) {
  const kube::KindNames* names = kube::find_kind(name);
  if (names != nullptr) return names->kind;
  std::string all;
  for (const kube::Kind kind : kube::kKinds) {
    all += fmt::format("{}{}", all.empty() ? "" : ", ", kube::names_of(kind).name);
  }
  return net::invalid_argument(fmt::format("{}: no such kind; allowed: {}", field, all));
}

net::Result<std::vector<kube::ObjectKey>> to_keys(const api::DeleteObjectsRequest& message) {
  std::vector<kube::ObjectKey> keys;
  for (int i = 0; i < message.objects_size(); ++i) {
    const api::ObjectName& object = message.objects(i);
    auto kind = to_kind(fmt::format("objects[{}].kind", i), object.kind());
    if (!kind) return kind.error();
    if (object.name().empty()) {
      return net::invalid_argument(fmt::format("objects[{}].name: is missing; allowed: a name", i));
    }
    keys.push_back({*kind, object.namespace_(), object.name()});
  }
  return keys;
}

void to_message(const Applied& applied, api::ObjectResult& message) {
  to_message(applied.key, *message.mutable_object());
  switch (applied.outcome) {
    case Outcome::kCreated: return message.set_outcome(api::ObjectResult::CREATED);
    case Outcome::kConfigured: return message.set_outcome(api::ObjectResult::CONFIGURED);
    case Outcome::kUnchanged: return message.set_outcome(api::ObjectResult::UNCHANGED);
  }
}

net::Result<kube::Manifest> to_manifest(const PodObject& object) {
  Json ports = Json::array();
  for (const ContainerPort& port : object.ports) {
    ports.push_back({{"containerPort", port.port}, {"protocol", port.protocol}});
    if (!port.name.empty()) ports.back()["name"] = port.name;
  }
  return kube::parse_object(
      {{"apiVersion", "v1"},
       {"kind", "Pod"},
       {"metadata", {{"name", object.name}, {"namespace", object.pod_namespace}, {"labels", object.labels}}},
       {"spec", {{"containers", Json::array({{{"name", "main"}, {"ports", std::move(ports)}}})}}}});
}

}  // namespace millrace::control::agent
