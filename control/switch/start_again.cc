#include "control/switch/start_again.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::control::switchd {
namespace {

constexpr const char* kNumber = "MILLRACE_START_NUMBER";

/// The words of the command line, as this process was given them.
std::vector<std::string> command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size(); at += words.back().size() + 1) words.emplace_back(text.c_str() + at);
  return words;
}

}  // namespace

unsigned start_number() {
  const char* const text = std::getenv(kNumber);
  if (text == nullptr) return 1;
  unsigned number = 1;
  const std::string_view view(text);
  const auto read = std::from_chars(view.data(), view.data() + view.size(), number);
  return read.ec == std::errc() && number >= 1 ? number : 1;
}

void start_again() {
  std::vector<std::string> words = command_line();
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::setenv(kNumber, fmt::format("{}", start_number() + 1).c_str(), 1);
  ::execv("/proc/self/exe", argv.data());
  spdlog::error("cannot start again: {}", std::strerror(errno));
}

}  // namespace millrace::control::switchd
