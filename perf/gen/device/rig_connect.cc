#include <fmt/format.h>

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

}  // namespace

net::Result<ConnectResult> Rig::connect(const ConnectOptions& options) {
  if (auto checked = check(options, queues_.size()); !checked) return checked.error();
  ConnectResult result;
  // A thread of its own, so that it can be pinned and has a cache in the pool.
  std::thread([&] {
    if (!options_.cpus.empty()) pin(options_.cpus[0]);
    const datapath::io::EalThread eal;
    datapath::Port* const server =
        options.server_port < 0 ? nullptr : queues_[static_cast<std::size_t>(options.server_port)].get();
    ConnectLoop loop(*pool_, clock_, *queues_[options.client_port], server, options.clients,
                     Schedule(options.connections_per_second, 1, 0, options.connections));
    const std::uint64_t start_ns = clock_.now_ns(), waited_before_ns = waited_ns();
    loop.start_at(start_ns);
    loop.run(start_ns + static_cast<std::uint64_t>(options.seconds * 1e9),
             static_cast<std::uint64_t>(options.drain_seconds * 1e9), stop_);
    const auto all = static_cast<double>(loop.idle_ns() + loop.busy_ns());
    result.seconds = all / 1e9;
    result.counts = loop.clients().counts();
    result.connect_ns = loop.clients().connect_ns();
    result.response_ns = loop.clients().response_ns();
    result.idle = all > 0 ? static_cast<double>(loop.idle_ns()) / all : 0;
    result.taken = all > 0 ? static_cast<double>(waited_ns() - waited_before_ns) / all : 0;
  }).join();
  return result;
}

}  // namespace millrace::perf::gen
