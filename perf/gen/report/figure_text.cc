#include "perf/gen/report/figure_text.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace millrace::perf::gen {

std::string time_text(double ns) {
  if (ns < 1e3) return fmt::format("{:.0f} ns", ns);
  if (ns < 1e6) return fmt::format("{:.2f} us", ns / 1e3);
  if (ns < 1e9) return fmt::format("{:.2f} ms", ns / 1e6);
  return fmt::format("{:.2f} s", ns / 1e9);
}

std::string figure_text(const std::string& name, double value) {
  if (name.ends_with("_pps")) return fmt::format("{:.4f} Mpps", value / 1e6);
  if (name.ends_with("_gbps")) return fmt::format("{:.3f} Gbit/s", value);
  if (name.ends_with("_ns")) return time_text(value);
  if (name.ends_with("_seconds") || name == "seconds") return time_text(value * 1e9);
  if (name.ends_with("_per_second")) return fmt::format("{:.1f} k/s", value / 1e3);
  if (name == "loss" || name == "headroom" || name == "taken") return fmt::format("{:.4f} %", value * 100);
  if (value == std::floor(value) && std::abs(value) < 1e15) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

std::string figure_name(const std::string& name) {
  // Beside counts of the same name.
  if (name == "sent_pps") return "sent rate";
  if (name == "received_pps") return "received rate";
  if (name == "received_gbps") return "received bits";
  std::string text = name;
  for (const char* unit : {"_pps", "_gbps", "_ns", "_seconds", "_per_second"}) {
    if (text.ends_with(unit)) text.resize(text.size() - std::char_traits<char>::length(unit));
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') continue;
    const bool within_number = i > 0 && i + 1 < text.size() && std::isdigit(static_cast<unsigned char>(text[i - 1])) &&
                               std::isdigit(static_cast<unsigned char>(text[i + 1]));
    text[i] = within_number ? '.' : ' ';
  }
  return text;
}

}  // namespace millrace::perf::gen
