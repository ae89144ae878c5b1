/// page: one HTML file, complete in itself, from results as `--json-file` writes them. Several lie over each other:
/// every plot has a series for each, every table a block.
///
/// Shape:   input is (label, JSON of {kind, machine, result}). No script, no outside resource.
/// Errors:  kInvalidArgument names the label when it is no such JSON.
/// Thread:  control code; allocates.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "net/result.h"

namespace millrace::perf::gen {

using LabelledResult = std::pair<std::string, nlohmann::ordered_json>;

net::Result<std::string> make_page(const std::vector<LabelledResult>& results);

}  // namespace millrace::perf::gen
