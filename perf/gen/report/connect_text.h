/// The result of a run of connections: for a person, as JSON, as CSV.
///
/// Shape:   JSON: {seconds, due, completed, completed_per_second, unopened, refused, no_connection, no_response,
/// no_close, reset, open,
///          most_open, strays, headroom, taken, connect_ns, response_ns, samples[]}, times as in trial_text.h.
/// Thread:  pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "perf/gen/connect/result.h"

namespace millrace::perf::gen {

std::string connect_text(const ConnectResult& result);
nlohmann::ordered_json connect_json(const ConnectResult& result);
std::string connect_csv(const ConnectResult& result);

}  // namespace millrace::perf::gen
