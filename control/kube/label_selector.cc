#include "control/kube/label_selector.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace millrace::control::kube {
namespace {

std::string term_text(const SelectorRequirement& requirement) {
  std::vector<std::string> values = requirement.values;
  std::ranges::sort(values);
  std::string all;
  for (const std::string& value : values) all += (&value == values.data() ? "" : ",") + value;
  switch (requirement.op) {
    case SelectorOperator::kIn: return fmt::format("{} in ({})", requirement.key, all);
    case SelectorOperator::kNotIn: return fmt::format("{} notin ({})", requirement.key, all);
    case SelectorOperator::kExists: return requirement.key;
    case SelectorOperator::kDoesNotExist: break;
  }
  return "!" + requirement.key;
}

}  // namespace

bool SelectorRequirement::matches(const Labels& labels) const {
  const auto label = labels.find(key);
  const bool is_there = label != labels.end();
  switch (op) {
    case SelectorOperator::kIn: return is_there && std::ranges::find(values, label->second) != values.end();
    case SelectorOperator::kNotIn: return !is_there || std::ranges::find(values, label->second) == values.end();
    case SelectorOperator::kExists: return is_there;
    case SelectorOperator::kDoesNotExist: break;
  }
  return !is_there;
}

bool LabelSelector::matches(const Labels& labels) const {
  for (const auto& [key, value] : match_labels) {
    const auto label = labels.find(key);
    if (label == labels.end() || label->second != value) return false;
  }
  return std::ranges::all_of(match_expressions,
                             [&](const SelectorRequirement& requirement) { return requirement.matches(labels); });
}

std::string to_string(const LabelSelector& selector) {
  std::vector<std::pair<std::string_view, std::string>> terms;  // by key
  for (const auto& [key, value] : selector.match_labels) terms.emplace_back(key, fmt::format("{}={}", key, value));
  for (const SelectorRequirement& requirement : selector.match_expressions) {
    terms.emplace_back(requirement.key, term_text(requirement));
  }
  std::ranges::stable_sort(terms, {}, [](const auto& term) { return term.first; });
  std::string all;
  for (const auto& term : terms) all += (all.empty() ? "" : ",") + term.second;
  return all;
}

}  // namespace millrace::control::kube
