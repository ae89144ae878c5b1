/// The tables of `millrace counters`.
///
/// Shape:   ports summed over the workers, with a row "(removed)" for those that are gone; drops by port and reason,
///          with the sentence that explains them; workers with how busy they were.
/// Thread:  pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "control/api/switch.pb.h"

namespace millrace::control::cli {

using PortRows = std::vector<std::pair<std::string, api::PortTotals>>;
/// By name, summed over the workers; at the end the removed ones, under a name that no port can have.
PortRows port_rows(const api::GetCountersReply& counters);
std::string counters_text(const api::GetCountersReply& counters);
/// All drops of all reasons.
std::uint64_t drops_of(const api::PortTotals& totals);
/// "a=1 b=2", sorted by name.
std::string drops_text(const api::PortTotals& totals);

}  // namespace millrace::control::cli
