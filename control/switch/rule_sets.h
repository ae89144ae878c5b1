/// Rule sets of lists of policies: compiled, or closed with the reason.
///
/// Errors:  none: a list that cannot be compiled gives a set that allows nothing, and says why.
/// Thread:  pure functions, any thread. Compiling takes milliseconds: hold no lock.
#pragma once

#include <memory>
#include <vector>

#include "control/switch/policy_state.h"

namespace millrace::control::switchd {

/// Allows nothing.
const std::shared_ptr<const policy::RuleSet>& deny_all();

/// `parts` in their order: the first rule that allows decides.
std::shared_ptr<const LiveRuleSet> build_rule_set(std::vector<std::shared_ptr<const LiveRules>> parts);

}  // namespace millrace::control::switchd
