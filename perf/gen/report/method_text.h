/// The result of a method: for a person, as JSON, as CSV.
///
/// Shape:   JSON: {method, rows [{name, FIGURE: value .., latency_ns}], points [{row, offered_pps, passed, result}]},
///          results without samples as in trial_text.h. CSV: a line for each row; figures that a row does not have are
///          empty.
/// Thread:  pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "perf/gen/method/method.h"

namespace millrace::perf::gen {

std::string method_text(const MethodResult& result);
nlohmann::ordered_json method_json(const MethodResult& result);
std::string method_csv(const MethodResult& result);
/// One line about a trial, for who watches.
std::string point_text(const Point& point);

}  // namespace millrace::perf::gen
