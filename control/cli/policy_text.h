/// The policy in force for a pod, as a person reads it: for each direction who isolates it, and each rule with what it
/// opens and how many flows it let begin.
///
/// Thread:  pure functions.
#pragma once

#include <string>

#include "control/api/switch.pb.h"

namespace millrace::control::cli {

/// `pod`: as it is called.
std::string policy_text(const std::string& pod, const api::PortPolicyStatus& status);

}  // namespace millrace::control::cli
