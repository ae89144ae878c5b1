/// The tables of a page, and what a reader must be warned of.
///
/// Thread:  pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace millrace::perf::gen {

/// The scalars of each object as a row; the columns are all keys, in the order in which they come. Columns that are
/// nothing but 0 are left out when they are about what may go wrong.
std::string table(const nlohmann::ordered_json& rows);

/// The figures of a run, a run of connections or a method, whatever it is; with its warnings.
std::string result_tables(const nlohmann::ordered_json& result);

/// A column for each machine; what differs is marked. One line is what most want to know.
std::string machine_table(const std::vector<std::pair<std::string, nlohmann::ordered_json>>& machines);
std::string machine_line(const nlohmann::ordered_json& machine);

/// What several results have in common, side by side, with the ratio to the first; empty for less than two.
std::string comparison(const std::vector<std::pair<std::string, nlohmann::ordered_json>>& results);

}  // namespace millrace::perf::gen
