#include "control/kube/manifest.h"

#include <map>

#include <fmt/format.h>

#include "control/config/values.h"
#include "control/kube/canonical.h"
#include "control/kube/foreign_kinds.h"
#include "control/kube/readers.h"
#include "control/kube/yaml_reader.h"
#include "control/names/syntax.h"

namespace millrace::control::kube {
namespace {

using config::shown;

std::string known_kinds() {
  std::string all;
  for (const Kind kind : kKinds) all += fmt::format("{}{}", all.empty() ? "" : ", ", names_of(kind).name);
  return all;
}

Object empty_object(Kind kind) {
  switch (kind) {
    case Kind::kNamespace: return Namespace();
    case Kind::kNode: return Node();
    case Kind::kPod: return Pod();
    case Kind::kService: return Service();
    case Kind::kEndpoints: return Endpoints();
    case Kind::kEndpointSlice: return EndpointSlice();
    case Kind::kNetworkPolicy: break;
  }
  return NetworkPolicy();
}

/// "" when the text of the field is not there or is no text.
std::string text_of(const Value& map, std::string_view key) {
  const Value* value = map.find(key);
  return value != nullptr && value->type == Value::Type::kText ? value->text : "";
}

class Reader {
 public:
  Reader(const std::string& file, const ManifestOptions& options) : file_(file), issues_(file), options_(options) {}

  void document(const Cursor& at) {
    if (!at.want(Value::Type::kMap, "an object", "a map with apiVersion, kind and metadata")) return;
    const std::string kind = text_of(at.value, "kind");
    if (kind.empty()) return at.fail_at("kind", "is missing", known_kinds());
    if (kind.ends_with("List")) return list(at, kind);
    object(at, kind);
  }

  Issues& issues() { return issues_; }
  Manifests take() { return std::move(result_); }

 private:
  void list(const Cursor& at, std::string_view kind) {
    const std::string_view of = kind.substr(0, kind.size() - 4);
    if (!of.empty() && find_kind(of) == nullptr) return unknown(at, kind);
    for (std::size_t i = 0; i < at.value.entries.size(); ++i) {
      const Value::Entry& entry = at.value.entries[i];
      if (entry.key == "items" && !entry.value.is_null()) {
        read_list(at.field(i), kItemLimit, [&](const Cursor& item) {
          // Items of a typed list need not say what they are.
          if (!of.empty() && item.value.is_map() && item.value.find("kind") == nullptr) return object(item, of);
          document(item);
        });
      } else if (entry.key != "apiVersion" && entry.key != "kind" && entry.key != "metadata" && entry.key != "items") {
        at.fail_at(shown(entry.key), "unknown field", "apiVersion, kind, metadata, items");
      }
    }
  }

  void object(const Cursor& at, std::string_view kind) {
    const KindNames* names = find_kind(kind);
    if (names == nullptr) return unknown(at, kind);
    const std::string version = text_of(at.value, "apiVersion");
    if (at.value.find("kind") != nullptr && version != names->api_version) {
      return at.fail_at("apiVersion", version.empty() ? "is missing" : shown(version), names->api_version);
    }
    Object read = empty_object(names->kind);
    const std::size_t before = issues_.count();
    std::visit([&](auto& typed) { read_object(at, typed); }, read);
    if (issues_.count() != before) return;
    if (!set_namespace(at, names->kind, read)) return;
    const ObjectKey key = key_of(read);
    const auto [there, is_new] = lines_.emplace(key, at.value.line);
    if (!is_new) {
      const std::string where = there->second > 0 ? fmt::format(", first in line {}", there->second) : "";
      return at.fail(fmt::format("{} is there twice{}", kube::to_string(key), where), "each object once");
    }
    nlohmann::json json = canonical(read, to_json(at.value));
    result_.objects.push_back({std::move(read), std::move(json)});
  }

  bool set_namespace(const Cursor& at, Kind kind, Object& object) {
    if (options_.name_space.empty() || !names_of(kind).has_namespace) return true;
    const Value* metadata = at.value.find("metadata");
    const std::string given = text_of(*metadata, "namespace");
    if (!given.empty() && given != options_.name_space) {
      at.fail_at_line("metadata.namespace", metadata->find("namespace")->line, shown(given),
                      fmt::format("{}, as the namespace that was asked for", options_.name_space));
      return false;
    }
    std::visit([&](auto& typed) { typed.meta.name_space = options_.name_space; }, object);
    return true;
  }

  void unknown(const Cursor& at, std::string_view kind) {
    const bool makes_pods = is_workload(kind);
    if (options_.skip_unrelated && (makes_pods || is_unrelated(kind))) {
      const Value* metadata = at.value.find("metadata");
      const std::string name = metadata == nullptr ? "" : text_of(*metadata, "name");
      result_.skipped.push_back(fmt::format(
          "{}:{}: {} {} skipped{}", file_, at.value.line, kind, names::is_dns_subdomain(name) ? name : shown(name),
          makes_pods ? ": Millrace starts no containers; make its pods with: " + pod_add_hint(at.value) : ""));
      return;
    }
    if (makes_pods) {
      return at.fail_at("kind",
                        fmt::format("{}: Millrace starts no containers; make its pods with: {}, and skip it with "
                                    "--skip-unrelated",
                                    kind, pod_add_hint(at.value)),
                        known_kinds());
    }
    if (is_unrelated(kind)) {
      return at.fail_at("kind", fmt::format("{} has no meaning for the network; skip it with --skip-unrelated", kind),
                        known_kinds());
    }
    at.fail_at("kind", shown(kind), known_kinds());
  }

  static constexpr std::size_t kItemLimit = 1'000'000;

  const std::string& file_;
  Issues issues_;
  const ManifestOptions& options_;
  Manifests result_;
  std::map<ObjectKey, int> lines_;
};

}  // namespace

net::Result<Manifests> parse_manifests(const std::string& text, const std::string& file,
                                       const ManifestOptions& options) {
  auto documents = read_yaml(text, file);
  if (!documents) return documents.error();
  Reader reader(file, options);
  for (const Value& document : *documents) reader.document(Cursor(document, reader.issues()));
  if (!reader.issues().empty()) return net::invalid_argument(reader.issues().to_string());
  return reader.take();
}

net::Result<Manifest> parse_object(const nlohmann::json& json) {
  const ManifestOptions options;
  Reader reader("", options);
  const Value value = from_json(json);
  reader.document(Cursor(value, reader.issues()));
  if (!reader.issues().empty()) return net::invalid_argument(reader.issues().to_string());
  Manifests read = reader.take();
  if (read.objects.size() != 1) return net::invalid_argument("kind: a list; allowed: one object");
  return std::move(read.objects[0]);
}

}  // namespace millrace::control::kube
