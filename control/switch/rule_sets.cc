#include "control/switch/rule_sets.h"

#include <fmt/core.h>

#include <charconv>
#include <string_view>

#include "control/switch/field_checks.h"

namespace millrace::control::switchd {
namespace {

using Parts = std::vector<std::shared_ptr<const LiveRules>>;

/// The compiler's words about the joined rules ("rules[7].groups: ...") in those of the policy that brought the rule
/// in.
std::string in_policy(const Parts& parts, const std::string& message) {
  constexpr std::string_view kBefore = "rules[";
  std::size_t index = 0;
  const char* const begin = message.data() + kBefore.size();
  const char* const end = message.data() + message.size();
  if (!message.starts_with(kBefore)) return message;
  const auto number = std::from_chars(begin, end, index);
  for (const auto& part : parts) {
    if (index >= part->rules.size()) {
      index -= part->rules.size();
      continue;
    }
    return fmt::format("policy {}: {}[{}{}", quoted(part->spec->policy),
                       kDirectionNames[static_cast<unsigned>(part->spec->direction)], index,
                       std::string_view(number.ptr, static_cast<std::size_t>(end - number.ptr)));
  }
  return message;
}

}  // namespace

const std::shared_ptr<const policy::RuleSet>& deny_all() {
  static const std::shared_ptr<const policy::RuleSet> kNone = policy::RuleSet::build({}).value();
  return kNone;
}

std::shared_ptr<const LiveRuleSet> build_rule_set(Parts parts) {
  auto live = std::make_shared<LiveRuleSet>();
  live->rules = deny_all();
  std::size_t count = 0;
  for (const auto& part : parts) {
    count += part->rules.size();
    if (!part->failure.empty() && live->failure.empty()) {
      live->failure = fmt::format("policy {}: {}", quoted(part->spec->policy), part->failure);
    }
  }
  if (live->failure.empty()) {
    std::vector<policy::Rule> rules;
    rules.reserve(count);
    for (const auto& part : parts) rules.insert(rules.end(), part->rules.begin(), part->rules.end());
    auto built = policy::RuleSet::build(rules);
    if (built) {
      live->rules = std::move(built).value();
    } else {
      live->failure = in_policy(parts, built.error().message);
    }
  }
  live->parts = std::move(parts);
  return live;
}

}  // namespace millrace::control::switchd
