/// The plots of a page: what each kind of result adds to them, so that several lie over each other.
///
/// Errors:  nlohmann::json::exception where a result is not what millrace-gen writes.
/// Thread:  one.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "perf/gen/report/plot.h"

namespace millrace::perf::gen {

class PagePlots {
 public:
  PagePlots();

  void add_run(const std::string& label, const nlohmann::ordered_json& result);
  void add_connect(const std::string& label, const nlohmann::ordered_json& result);
  void add_test(const std::string& label, const nlohmann::ordered_json& result);

  /// Those that have something to show.
  std::string draw_all() const;

 private:
  void add_rows(const std::string& label, const nlohmann::ordered_json& rows);
  void add_changes(const std::string& label, const nlohmann::ordered_json& changes);

  Plot rate_, latency_, losses_, connections_, throughput_, half_, percentiles_, trials_;
};

}  // namespace millrace::perf::gen
