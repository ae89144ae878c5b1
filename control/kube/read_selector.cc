// LabelSelector, wherever a kind has one.
#include <fmt/format.h>

#include "control/config/values.h"
#include "control/kube/readers.h"
#include "control/names/syntax.h"

namespace millrace::control::kube {
namespace {

void read_values(const Cursor& at, SelectorRequirement& out) {
  read_list(at, kMaxSelectorValues, [&](const Cursor& entry) {
    std::string& value = out.values.emplace_back();
    read_text(entry, value);
    if (!names::is_label_value(value)) entry.fail(config::shown(value), kLabelValueRule);
  });
}

constexpr Field<SelectorRequirement> kRequirementFields[] = {
    {"key",
     [](const Cursor& at, SelectorRequirement& out) {
       if (!at.want(Value::Type::kText, "text")) return;
       out.key = at.value.text;
       if (!names::is_label_key(out.key)) at.fail(config::shown(out.key), kLabelKeyRule);
     }},
    {"operator", [](const Cursor& at, SelectorRequirement& out) { read_enum(at, kSelectorOperatorNames, out.op); }},
    {"values", read_values},
};

/// ValidateLabelSelectorRequirement.
void read_requirement(const Cursor& at, SelectorRequirement& out) {
  const std::size_t before = at.issues().count();
  read_fields(at, out, kRequirementFields);
  if (!at.value.is_map()) return;
  if (at.value.find("key") == nullptr) at.fail_at("key", "is missing", kLabelKeyRule);
  if (at.value.find("operator") == nullptr)
    return at.fail_at("operator", "is missing", "In, NotIn, Exists, DoesNotExist");
  if (at.issues().count() != before) return;
  const bool takes_values = out.op == SelectorOperator::kIn || out.op == SelectorOperator::kNotIn;
  const std::string_view name = kSelectorOperatorNames[static_cast<std::size_t>(out.op)];
  if (takes_values && out.values.empty()) {
    at.fail_at("values", fmt::format("none with operator {}", name), "at least one");
  }
  if (!takes_values && !out.values.empty()) {
    at.fail_at("values", fmt::format("with operator {}", name), "none, or operator In or NotIn");
  }
}

constexpr Field<LabelSelector> kFields[] = {
    {"matchLabels",
     [](const Cursor& at, LabelSelector& out) {
       read_labels(at, out.match_labels);
       if (out.match_labels.size() > kMaxSelectorTerms) {
         at.fail(fmt::format("{} entries", out.match_labels.size()), fmt::format("at most {}", kMaxSelectorTerms));
       }
     }},
    {"matchExpressions",
     [](const Cursor& at, LabelSelector& out) {
       read_list(at, kMaxSelectorTerms,
                 [&](const Cursor& entry) { read_requirement(entry, out.match_expressions.emplace_back()); });
     }},
};

}  // namespace

void read_selector(const Cursor& at, LabelSelector& out) { read_fields(at, out, kFields); }

}  // namespace millrace::control::kube
