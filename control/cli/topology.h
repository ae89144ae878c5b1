/// The drawing of `millrace topology`.
///
/// Shape:   a tree in ASCII: NUMA node, core, CPU; behind each CPU its role and why; below it one sentence a decision.
/// Thread:  pure functions.
#pragma once

#include <string>

#include "control/api/switch.pb.h"

namespace millrace::control::cli {

std::string draw(const api::Topology& topology);

}  // namespace millrace::control::cli
