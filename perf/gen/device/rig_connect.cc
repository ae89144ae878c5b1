#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "perf/gen/connect/loop.h"
#include "perf/gen/device/rig.h"
#include "perf/gen/device/thread.h"

namespace millrace::perf::gen {
namespace {

net::Result<void> check(const ConnectOptions& options, std::size_t ports) {
  const ClientOptions& clients = options.clients;
  if (options.client_port >= ports || options.server_port >= static_cast<int>(ports)) {
    return net::invalid_argument(fmt::format("--client-port, --server-port: ports are 0 to {}", ports - 1));
  }
  if (options.server_port == static_cast<int>(options.client_port)) {
    return net::invalid_argument(fmt::format("--server-port {}: not the clients' own", options.server_port));
  }
  if (clients.slots == 0 || clients.slots > Clients::kMostSlots) {
    return net::invalid_argument(fmt::format("--concurrent {}: 1 to {}", clients.slots, Clients::kMostSlots));
  }
  if (clients.request_bytes == 0 || clients.request_bytes > kMostPayloadBytes) {
    return net::invalid_argument(fmt::format("--request {}: 1 to {}", clients.request_bytes, kMostPayloadBytes));
  }
  if (clients.response_bytes > kMostPayloadBytes && options.server_port >= 0) {
    return net::invalid_argument(fmt::format("--response {}: this program's server sends at most {}",
                                             clients.response_bytes, kMostPayloadBytes));
  }
  return {};
}

/// Looks at the loop while it runs, from one interval to the next.
class ConnectWatch {
 public:
  static constexpr std::chrono::milliseconds kPatience{200};

  ConnectWatch(ConnectLoop& loop, double of_seconds) : loop_(loop), of_seconds_(of_seconds) {}

  /// nullopt: the loop has ended, or has no time to answer.
  std::optional<ConnectSample> look() {
    const ConnectCounts* const now = loop_.live().ask(kPatience);
    if (now == nullptr) return std::nullopt;
    const auto at = Clock::now();
    const double seconds = std::chrono::duration<double>(at - before_at_).count();
    const auto grown = [](std::uint64_t before, std::uint64_t after) { return static_cast<double>(after - before); };
    const Histogram connect = now->connect_ns.since(before_.connect_ns);
    const Histogram response = now->response_ns.since(before_.response_ns);
    const double idle = grown(before_.idle_ns, now->idle_ns), all = idle + grown(before_.busy_ns, now->busy_ns);
    if (all > 0) idle_ = idle / all;  // not while the last ones are waited for
    const ConnectSample sample{.seconds = std::chrono::duration<double>(at - start_).count(),
                               .of_seconds = of_seconds_,
                               .completed_per_second = grown(before_.counts.completed, now->counts.completed) / seconds,
                               .failed_per_second = grown(before_.counts.failed(), now->counts.failed()) / seconds,
                               .counts = now->counts,
                               .connect_p50_ns = connect.percentile(50),
                               .connect_p99_ns = connect.percentile(99),
                               .connect_most_ns = connect.most(),
                               .response_p50_ns = response.percentile(50),
                               .response_p99_ns = response.percentile(99),
                               .response_most_ns = response.most(),
                               .idle = idle_};
    before_ = *now;
    before_at_ = at;
    return sample;
  }

 private:
  using Clock = std::chrono::steady_clock;

  ConnectLoop& loop_;
  double of_seconds_;
  double idle_ = 0;
  ConnectCounts before_;
  Clock::time_point start_ = Clock::now(), before_at_ = start_;
};

}  // namespace

net::Result<ConnectResult> Rig::connect(const ConnectOptions& options) {
  if (auto checked = check(options, queues_.size()); !checked) return checked.error();
  ConnectResult result;
  datapath::Port* const server =
      options.server_port < 0 ? nullptr : queues_[static_cast<std::size_t>(options.server_port)].get();
  ConnectLoop loop(*pool_, clock_, *queues_[options.client_port], server, options.clients,
                   Schedule(options.connections_per_second, 1, 0, options.connections));
  std::mutex mutex;
  std::condition_variable ended;
  bool running = true;
  // A thread of its own, so that it can be pinned and has a cache in the pool.
  std::thread worker([&] {
    if (!options_.cpus.empty()) pin(options_.cpus[0]);
    const datapath::io::EalThread eal;
    const std::uint64_t start_ns = clock_.now_ns(), waited_before_ns = waited_ns();
    loop.start_at(start_ns);
    loop.run(start_ns + static_cast<std::uint64_t>(options.seconds * 1e9),
             static_cast<std::uint64_t>(options.drain_seconds * 1e9), stop_);
    const auto lasted = static_cast<double>(clock_.now_ns() - start_ns);
    const auto all = static_cast<double>(loop.idle_ns() + loop.busy_ns());
    result.seconds = all / 1e9;
    result.idle = all > 0 ? static_cast<double>(loop.idle_ns()) / all : 0;
    result.taken = all > 0 ? static_cast<double>(waited_ns() - waited_before_ns) / lasted : 0;
    const std::lock_guard lock(mutex);
    running = false;
    ended.notify_one();
  });
  ConnectWatch watch(loop, options.seconds);
  std::vector<ConnectSample> samples;
  const auto interval = std::chrono::duration<double>(options_.interval_seconds);
  std::unique_lock lock(mutex);
  while (!ended.wait_for(lock, interval, [&] { return !running; })) {
    lock.unlock();
    if (const auto sample = watch.look()) {
      samples.push_back(*sample);
      if (connect_callback_) connect_callback_(*sample);
    }
    lock.lock();
  }
  lock.unlock();
  worker.join();
  result.samples = std::move(samples);
  result.counts = loop.clients().counts();
  result.counts.unopened = loop.unopened();
  result.counts.due += loop.unopened();
  result.connect_ns = loop.clients().connect_ns();
  result.response_ns = loop.clients().response_ns();
  return result;
}

}  // namespace millrace::perf::gen
