/// millrace-gen(8), made from what the program itself parses.
///
/// Thread:  pure function.
/// Source:  man-pages(7), groff_man(7).
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace millrace::perf::gen {

std::string man_page(const CLI::App& app);

}  // namespace millrace::perf::gen
