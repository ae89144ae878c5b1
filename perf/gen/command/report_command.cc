#include "perf/gen/command/report_command.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "perf/gen/command/output.h"
#include "perf/gen/report/page.h"

namespace millrace::perf::gen {

void ReportCommand::describe(CLI::App& app) {
  app.add_option("results", files_, "Files of --json-file; [LABEL=]FILE")->required();
  app.add_option("--html", html_file_, "The page to write")->required();
}

net::Result<void> ReportCommand::run() const {
  std::vector<LabelledResult> results;
  for (const std::string& argument : files_) {
    const auto equals = argument.find('=');
    const std::string file = equals == std::string::npos ? argument : argument.substr(equals + 1);
    const std::string label =
        equals == std::string::npos ? std::filesystem::path(file).stem().string() : argument.substr(0, equals);
    std::ifstream in(file);
    if (!in) return net::not_found(fmt::format("{}: it cannot be read", file));
    auto json = nlohmann::ordered_json::parse(in, nullptr, false);
    if (json.is_discarded()) return net::invalid_argument(fmt::format("{}: no JSON", file));
    results.emplace_back(label, std::move(json));
  }
  const auto page = make_page(results);
  if (!page) return page.error();
  return write_file(html_file_, *page);
}

}  // namespace millrace::perf::gen
