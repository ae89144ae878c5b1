#include "control/cli/pid_file.h"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

namespace millrace::control::cli {

namespace {

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string line;
  std::getline(file, line);
  return line;
}

template <typename T>
std::optional<T> number(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<PidFileEntry> read_pid_file(const std::string& path) {
  std::ifstream file(path);
  std::string pid_line, ticks_line, boot_line, config_line;
  if (!std::getline(file, pid_line) || !std::getline(file, ticks_line) || !std::getline(file, boot_line) ||
      !std::getline(file, config_line)) {
    return std::nullopt;
  }
  const auto pid = number<pid_t>(pid_line);
  const auto ticks = number<std::uint64_t>(ticks_line);
  if (!pid || !ticks || boot_line != boot_id()) return std::nullopt;
  auto process = Process::open(*pid);
  if (!process || process->start_ticks() != *ticks || process->ended(std::chrono::milliseconds(0))) return std::nullopt;
  return PidFileEntry{.process = std::move(*process), .config_file = config_line};
}

net::Result<void> write_pid_file(const std::string& path, const Process& process, const std::string& config_file) {
  const std::string temporary = path + ".new";
  std::ofstream file(temporary, std::ios::trunc);
  file << process.pid() << '\n' << process.start_ticks() << '\n' << boot_id() << '\n' << config_file << '\n';
  file.close();
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0) {
    return net::failed_precondition(fmt::format("{}: cannot be written: {}", path, std::strerror(errno)));
  }
  return {};
}

}  // namespace millrace::control::cli
