/// The manual pages, made from what the program itself parses.
///
/// Thread:  pure functions.
/// Source:  man-pages(7), groff_man(7).
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace millrace::control::cli {

/// millrace(8): every subcommand with its options.
std::string command_page(const CLI::App& app);
/// millrace.yaml(5): every key.
std::string config_page();
/// Text as roff wants it: no request at the start of a line, hyphens that can be copied.
std::string roff_text(const std::string& text);

}  // namespace millrace::control::cli
