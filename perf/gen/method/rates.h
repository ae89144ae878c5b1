/// The same streams at another rate, of another size, with other numbers of flows: what methods vary.
///
/// Thread:  pure functions.
#pragma once

#include <vector>

#include "perf/gen/stream/description.h"

namespace millrace::perf::gen {

/// Streams with `pps` packets a second together, each with the share that its own rate has of all; streams of rate
/// `max` share alike. 0: all as fast as possible.
std::vector<StreamDescription> with_rate(std::vector<StreamDescription> streams, double pps, double link_bps);

/// Every stream with frames of this size alone.
std::vector<StreamDescription> with_size(std::vector<StreamDescription> streams, std::uint32_t bytes);

/// Every stream with so many flows. Fields that somebody chose stay, and must make as many, which compiling checks.
std::vector<StreamDescription> with_flows(std::vector<StreamDescription> streams, std::uint32_t flows);

}  // namespace millrace::perf::gen
