// Metadata: names, labels, annotations.
#include <fmt/format.h>

#include "control/config/values.h"
#include "control/kube/readers.h"
#include "control/names/syntax.h"

namespace millrace::control::kube {
namespace {

constexpr std::size_t kAnnotationsLimitBytes = 256 << 10;  // TotalAnnotationSizeLimitB
constexpr std::size_t kUidLimit = 128;

/// Set by an API server, or read by its garbage collector.
constexpr std::string_view kServerFields[] = {
    "creationTimestamp", "resourceVersion", "generation", "managedFields",
    "selfLink",          "ownerReferences", "finalizers", "deletionGracePeriodSeconds"};

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

void read_annotations(const Cursor& at, Labels& out) {
  if (!at.want(Value::Type::kMap, "a map")) return;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < at.value.entries.size(); ++i) {
    const Cursor entry = at.field(i);
    const std::string& key = at.value.entries[i].key;
    if (!names::is_label_key(lower(key))) entry.fail("the key cannot be", kLabelKeyRule);
    if (entry.value.is_null()) continue;
    std::string text;
    read_text(entry, text);
    bytes += key.size() + text.size();
    out[key] = std::move(text);
  }
  if (bytes > kAnnotationsLimitBytes) {
    at.fail(fmt::format("{} bytes", bytes), fmt::format("at most {}", kAnnotationsLimitBytes));
  }
}

constexpr Field<Metadata> kFields[] = {
    {"name", [](const Cursor& at, Metadata& out) { read_text(at, out.name); }},
    {"namespace", [](const Cursor& at, Metadata& out) { read_text(at, out.name_space); }},
    {"uid",
     [](const Cursor& at, Metadata& out) {
       read_text(at, out.uid);
       if (out.uid.size() > kUidLimit) at.fail("is too long", fmt::format("{} characters", kUidLimit));
     }},
    {"labels", [](const Cursor& at, Metadata& out) { read_labels(at, out.labels); }},
    {"annotations", [](const Cursor& at, Metadata& out) { read_annotations(at, out.annotations); }},
    {"deletionTimestamp", [](const Cursor&, Metadata& out) { out.deleting = true; }},
    {"generateName",
     [](const Cursor& at, Metadata&) { at.fail("Millrace makes no names", "metadata.name in its place"); }},
};

void check_name(const Cursor& at, Kind kind, const std::string& name) {
  const bool is_service = kind == Kind::kService;
  const bool is_label = is_service || kind == Kind::kNamespace;
  const bool starts_well = !is_service || name.empty() || (name[0] >= 'a' && name[0] <= 'z');
  if ((is_label ? names::is_dns_label(name) : names::is_dns_subdomain(name)) && starts_well) return;
  const char* const rule = is_service ? "1..63 of a-z 0-9 -, a letter first, no - last"
                           : is_label ? kDnsLabelRule
                                      : kSubdomainRule;
  if (name.empty()) return at.fail_at("name", "is missing", rule);
  at.fail_at("name", config::shown(name), rule);
}

}  // namespace

void read_labels(const Cursor& at, Labels& out) {
  if (!at.want(Value::Type::kMap, "a map")) return;
  for (std::size_t i = 0; i < at.value.entries.size(); ++i) {
    const Cursor entry = at.field(i);
    const std::string& key = at.value.entries[i].key;
    if (!names::is_label_key(key)) entry.fail("the key cannot be", kLabelKeyRule);
    std::string text;
    if (!entry.value.is_null()) read_text(entry, text);
    if (!names::is_label_value(text)) entry.fail(config::shown(text), kLabelValueRule);
    out[key] = std::move(text);
  }
}

void read_metadata(const Cursor& at, Kind kind, Metadata& out) {
  read_fields(at, out, kFields, kServerFields);
  if (!at.value.is_map()) return;
  check_name(at, kind, out.name);
  if (!names_of(kind).has_namespace) {
    if (!out.name_space.empty()) at.fail_at("namespace", fmt::format("a {} is in no namespace", names_of(kind).name));
    return;
  }
  if (out.name_space.empty()) out.name_space = kDefaultNamespace;
  if (!names::is_dns_label(out.name_space)) at.fail_at("namespace", config::shown(out.name_space), kDnsLabelRule);
}

}  // namespace millrace::control::kube
