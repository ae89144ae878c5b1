/// Figures as a person reads them, by the unit at the end of their names.
///
/// Shape:   _pps as Mpps, _ns and _seconds as a time, _per_second as thousands, shares (loss, headroom, taken) as
/// percent.
/// Thread:  pure functions.
#pragma once

#include <string>

namespace millrace::perf::gen {

std::string figure_text(const std::string& name, double value);

/// The name without its unit: "throughput", "p99.9".
std::string figure_name(const std::string& name);

/// 1.234 us, 12.3 ms.
std::string time_text(double ns);

}  // namespace millrace::perf::gen
