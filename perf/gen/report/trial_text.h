/// The result of one trial: for a person, as JSON, as CSV.
///
/// Shape:   JSON: {seconds, total, streams[], ports[], headroom, taken, samples[]}; a stream has due, sent, unsent,
///          untagged (of those sent: as recorded), received, lost, loss, duplicates, reordered, late, most_extent,
///          sent_pps, received_pps, received_gbps (frames without FCS), latency_ns {min, p50, p90, p99, p99_9, p99_99,
///          max, mean, count, histogram [[least, most, count]]}. CSV: a header line, a line for each stream, one for the
///          total.
/// Thread:  pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "perf/gen/report/figure_text.h"
#include "perf/gen/run/trial.h"

namespace millrace::perf::gen {

std::string trial_text(const TrialResult& result);
nlohmann::ordered_json trial_json(const TrialResult& result);
nlohmann::ordered_json latency_json(const Histogram& latency);
std::string trial_csv(const TrialResult& result);

}  // namespace millrace::perf::gen
