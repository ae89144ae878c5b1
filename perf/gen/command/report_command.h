/// millrace-gen report: one page of several results, laid over each other.
///
/// Thread:  main.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "net/result.h"

namespace millrace::perf::gen {

class ReportCommand {
 public:
  void describe(CLI::App& app);
  net::Result<void> run() const;

 private:
  std::vector<std::string> files_;
  std::string html_file_;
};

}  // namespace millrace::perf::gen
