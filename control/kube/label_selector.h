/// LabelSelector: which objects, by their labels.
///
/// Shape:   all of it must hold: each of match_labels is there with that value, and each expression is true. The empty
///          selector selects everything. A selector that is absent is no LabelSelector at all (std::optional): what it
///          means is said by the field that holds it. Two selectors of one meaning in another order of expressions or
///          values are not equal: what a person wrote is kept.
/// Thread:  plain values, any thread.
/// Source:  k8s.io/apimachinery/pkg/apis/meta/v1 (LabelSelector, FormatLabelSelector), pkg/labels
///          (Requirement.Matches).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "control/kube/metadata.h"

namespace millrace::control::kube {

inline constexpr std::size_t kMaxSelectorTerms = 100;  // of match_labels, and of match_expressions
inline constexpr std::size_t kMaxSelectorValues = 1000;

enum class SelectorOperator : std::uint8_t { kIn, kNotIn, kExists, kDoesNotExist };

inline constexpr std::string_view kSelectorOperatorNames[] = {"In", "NotIn", "Exists", "DoesNotExist"};

struct SelectorRequirement {
  std::string key;
  SelectorOperator op = SelectorOperator::kIn;
  std::vector<std::string> values;  // at least one for kIn and kNotIn, none for the others

  /// kNotIn and kDoesNotExist hold where the key is absent; kIn and kExists do not.
  bool matches(const Labels& labels) const;
  friend auto operator<=>(const SelectorRequirement&, const SelectorRequirement&) = default;
};

struct LabelSelector {
  Labels match_labels;
  std::vector<SelectorRequirement> match_expressions;

  bool empty() const { return match_labels.empty() && match_expressions.empty(); }
  bool matches(const Labels& labels) const;
  friend auto operator<=>(const LabelSelector&, const LabelSelector&) = default;
};

/// As `kubectl get -l` takes it, keys sorted: "app=web,tier in (a,b),!old". "" for the empty one.
std::string to_string(const LabelSelector& selector);

}  // namespace millrace::control::kube
