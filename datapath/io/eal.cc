#include "datapath/io/eal.h"

#include <fmt/format.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <vector>

#include "datapath/io/hugepages.h"

namespace millrace::datapath::io {
namespace {

/// What DPDK itself needs besides packets: memzone headers, mempool caches of 128 lcores, its own tables.
constexpr std::uint64_t kOverheadBytes = 16ull << 20;
constexpr std::uint64_t kMegabyte = 1ull << 20;

/// DPDK's log, line by line to spdlog's debug level; the last complaint is kept for the error a person reads.
class DpdkLog {
 public:
  static DpdkLog& get() {
    static DpdkLog log;
    return log;
  }
  void open() {
    if (stream_ != nullptr) return;
    cookie_io_functions_t calls{};
    calls.write = [](void* self, const char* text, std::size_t length) -> ssize_t {
      static_cast<DpdkLog*>(self)->write({text, length});
      return static_cast<ssize_t>(length);
    };
    stream_ = fopencookie(this, "w", calls);
    if (stream_ == nullptr) return;
    std::setvbuf(stream_, nullptr, _IOLBF, 512);
    rte_openlog_stream(stream_);
  }
  const std::string& last_line() const noexcept { return last_line_; }

 private:
  void write(std::string_view text) {
    while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    if (text.empty()) return;
    spdlog::debug("dpdk: {}", text);
    last_line_ = text;
  }
  std::FILE* stream_ = nullptr;
  std::string last_line_;
};

/// Keeps the calling thread's affinity: rte_eal_init binds it to its main lcore.
class AffinityGuard {
 public:
  AffinityGuard() { valid_ = pthread_getaffinity_np(pthread_self(), sizeof set_, &set_) == 0; }
  ~AffinityGuard() {
    if (valid_) pthread_setaffinity_np(pthread_self(), sizeof set_, &set_);
  }
  AffinityGuard(const AffinityGuard&) = delete;
  AffinityGuard& operator=(const AffinityGuard&) = delete;
  /// The first processor the thread may use; DPDK wants one lcore, and this one surely exists.
  int first_cpu() const noexcept {
    for (int cpu = 0; valid_ && cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set_)) return cpu;
    }
    return 0;
  }

 private:
  cpu_set_t set_{};
  bool valid_ = false;
};

std::vector<std::string> arguments(const EalOptions& options, std::uint64_t bytes, const HugepageRoom& room, int cpu) {
  std::vector<std::string> list = {"millrace", "--no-telemetry", "--iova-mode=va", fmt::format("--lcores=0@{}", cpu)};
  list.push_back(options.pci_device.empty() ? std::string("--no-pci") : "--allow=" + options.pci_device);
  const std::uint64_t page_bytes = std::max(room.page_bytes(), kMegabyte);
  const std::uint64_t megabytes = (bytes + page_bytes - 1) / page_bytes * page_bytes / kMegabyte;
  if (room.page_bytes() == 0) {
    // --in-memory does not go with --no-huge; these two leave no file either.
    list.insert(list.end(), {"--no-huge", "--no-shconf"});
  } else {
    list.emplace_back("--in-memory");
    if (options.one_file) list.emplace_back("--single-file-segments");
  }
  if (room.page_bytes() != 0 && options.numa_node >= 0) {
    std::string by_node = "--socket-mem=";
    for (int node = 0; node < options.numa_node; ++node) by_node += "0,";
    list.push_back(by_node + std::to_string(megabytes));
  } else {
    list.insert(list.end(), {"-m", std::to_string(megabytes)});
  }
  return list;
}

std::string describe(const HugepageRoom& room) {
  if (room.page_bytes() == 0) return fmt::format("4K pages (no hugepages: {})", room.reason());
  return room.page_bytes() > (2 * kMegabyte) ? "1G hugepages" : "2M hugepages";
}

}  // namespace

net::Result<EalInfo> start_eal(const EalOptions& options) {
  const AffinityGuard affinity;
  DpdkLog::get().open();
  const std::uint64_t bytes = options.memory_bytes + kOverheadBytes;
  // Held until DPDK has mapped its memory, then the limit of surplus pages is as it was.
  const HugepageRoom room = HugepageRoom::prepare(options.hugepages, bytes, options.numa_node);

  static std::vector<std::string> words;  // DPDK keeps pointers to its arguments
  words = arguments(options, bytes, room, affinity.first_cpu());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  if (rte_eal_init(static_cast<int>(words.size()), argv.data()) < 0) {
    const int code = rte_errno;
    const auto text = fmt::format("DPDK did not start: {} ({})", rte_strerror(code), DpdkLog::get().last_line());
    return code == ENOMEM || code == EACCES ? net::resource_exhausted(text) : net::internal_error(text);
  }
  return EalInfo{.memory = describe(room)};
}

EalThread::EalThread() {
  // Without an lcore id (all 128 taken) the thread works too, only without a cache in the pool.
  if (rte_lcore_id() == LCORE_ID_ANY) registered_ = rte_thread_register() == 0;
}

EalThread::~EalThread() {
  if (registered_) rte_thread_unregister();
}

void stop_eal() { rte_eal_cleanup(); }

}  // namespace millrace::datapath::io
