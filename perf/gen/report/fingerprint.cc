#include "perf/gen/report/fingerprint.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <sstream>

namespace millrace::perf::gen {
namespace {

std::string read(const char* path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  std::string all = text.str();
  while (!all.empty() && all.back() == '\n') all.pop_back();
  return all;
}

std::string field(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos || line.compare(0, name.size(), name) != 0) continue;
    const auto begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? std::string() : line.substr(begin);
  }
  return "unknown";
}

}  // namespace

nlohmann::ordered_json fingerprint(const std::string& packet_memory) {
  const std::string cpuinfo = read("/proc/cpuinfo");
  const std::string governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  utsname name{};
  const bool named = ::uname(&name) == 0;
  const long pages = ::sysconf(_SC_PHYS_PAGES), page_bytes = ::sysconf(_SC_PAGESIZE);
  return {{"time", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
          {"version", MILLRACE_VERSION},
          {"cpu", field(cpuinfo, "model name")},
          {"cpus", ::sysconf(_SC_NPROCESSORS_ONLN)},
          {"virtual_machine", cpuinfo.find("hypervisor") != std::string::npos},
          {"governor", governor.empty() ? "unknown" : governor},
          {"memory_bytes", static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes)},
          {"packets_in", packet_memory},
          {"kernel", named ? name.release : "unknown"},
          {"compiler", __VERSION__}};
}

}  // namespace millrace::perf::gen
