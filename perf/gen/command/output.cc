#include "perf/gen/command/output.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <fstream>

#include "perf/gen/report/page.h"
#include "perf/gen/stop_signal.h"

namespace millrace::perf::gen {

/// A signal handler may not know the rig, which comes and goes; so somebody looks ten times a second.
StopWatch::StopWatch(Rig& rig)
    : thread_([this, &rig] {
        while (!over_.load()) {
          if (stop_requested()) return rig.stop();
          std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
      }) {}

StopWatch::~StopWatch() {
  over_.store(true);
  thread_.join();
}

net::Result<void> write_file(const std::string& file, const std::string& text) {
  std::ofstream out(file, std::ios::trunc);
  out << text;
  out.flush();
  if (!out) return net::failed_precondition(fmt::format("{}: it cannot be written", file));
  return {};
}

net::Result<void> write_result(const CommonOptions& options, const nlohmann::ordered_json& json,
                               const std::string& csv) {
  if (!options.json_file.empty()) {
    if (auto written = write_file(options.json_file, json.dump(1) + "\n"); !written) return written;
  }
  if (!options.csv_file.empty()) {
    if (auto written = write_file(options.csv_file, csv); !written) return written;
  }
  if (!options.html_file.empty()) {
    const auto page = make_page({{"run", json}});
    if (!page) return page.error();
    if (auto written = write_file(options.html_file, *page); !written) return written;
  }
  return {};
}

}  // namespace millrace::perf::gen
