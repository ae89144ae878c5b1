/// The tables of `millrace counters`.
///
/// Shape:   ports summed over the workers, with a row "(removed)" for those that are gone; drops by port and reason,
///          with the sentence that explains them; workers with how busy they were.
/// Thread:  pure functions.
#pragma once

#include <string>

#include "control/api/switch.pb.h"

namespace millrace::control::cli {

std::string counters_text(const api::GetCountersReply& counters);
/// All drops of all reasons.
std::uint64_t drops_of(const api::PortTotals& totals);
/// "a=1 b=2", sorted by name.
std::string drops_text(const api::PortTotals& totals);

}  // namespace millrace::control::cli
