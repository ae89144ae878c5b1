#include "datapath/io/bpf_log.h"

#include <bpf/libbpf.h>
#include <spdlog/spdlog.h>
#include <xdp/libxdp.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <string_view>

namespace millrace::datapath::io {
namespace {

thread_local std::string last_warning;

[[gnu::format(printf, 2, 0)]] int take_line(bool warning, const char* format, std::va_list arguments) {
  std::array<char, 1024> text;
  const int length = std::vsnprintf(text.data(), text.size(), format, arguments);
  if (length <= 0) return length;
  std::string_view line(text.data());
  while (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (warning) last_warning = line;
  spdlog::debug("bpf: {}", line);
  return length;
}

[[gnu::format(printf, 2, 0)]] int take_libbpf_line(libbpf_print_level level, const char* format,
                                                   std::va_list arguments) {
  return level == LIBBPF_DEBUG ? 0 : take_line(level == LIBBPF_WARN, format, arguments);
}

[[gnu::format(printf, 2, 0)]] int take_libxdp_line(libxdp_print_level level, const char* format,
                                                   std::va_list arguments) {
  return level == LIBXDP_DEBUG ? 0 : take_line(level == LIBXDP_WARN, format, arguments);
}

}  // namespace

void redirect_bpf_log() {
  static std::once_flag once;
  std::call_once(once, [] {
    libbpf_set_print(take_libbpf_line);
    libxdp_set_print(take_libxdp_line);
  });
}

std::string last_bpf_warning() { return last_warning; }

}  // namespace millrace::datapath::io
