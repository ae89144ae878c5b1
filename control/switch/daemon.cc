#include "control/switch/daemon.h"

#include <fmt/core.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <utility>

#include "control/api/service_manager.h"
#include "control/api/unix_socket.h"
#include "control/config/mtu.h"
#include "control/netlink/uplink_link.h"
#include "control/switch/device_opener.h"
#include "control/switch/flow_settings.h"
#include "control/switch/kernel_underlay.h"
#include "control/switch/placement.h"
#include "control/switch/service.h"
#include "control/switch/start_again.h"
#include "control/switch/worker_set.h"
#include "datapath/io/dpdk_device.h"
#include "datapath/io/eal.h"
#include "datapath/io/mbuf_pool.h"

namespace millrace::control::switchd {
namespace {

namespace io = datapath::io;
using std::chrono::milliseconds;

/// How often interfaces that went away are looked for, and guests' memory that did: the log of it may be that late,
/// nothing else waits for it.
constexpr milliseconds kHealthInterval{2000};
/// What a running Apply may take to end when the switch stops.
constexpr milliseconds kStopGrace{2000};

io::HugepageChoice to_io(config::Hugepages choice) {
  switch (choice) {
    case config::Hugepages::kAuto: return io::HugepageChoice::kAuto;
    case config::Hugepages::k2M: return io::HugepageChoice::k2M;
    case config::Hugepages::k1G: return io::HugepageChoice::k1G;
    case config::Hugepages::kOff: return io::HugepageChoice::kOff;
  }
  return io::HugepageChoice::kAuto;
}

net::Result<Placement> place_workers(const config::Config& config) {
  auto machine = read_machine();
  if (!machine) return machine.error();
  PlacementRequest request;
  request.count = config.workers.count;
  request.cpus = config.workers.cpus;
  // What `auto` means is found by the agent, later: no preference until an interface is named.
  request.uplink = config.uplink == "auto" ? "" : config.uplink;
  request.uplink_numa_node = config.uplink_device.empty() ? numa_node_of_interface(request.uplink)
                                                          : io::numa_node_of_device(config.uplink_device);
  auto placement = place(*machine, request);
  if (!placement) return placement;
  for (const std::string& reason : placement->topology.reasons()) spdlog::info("placement: {}", reason);
  for (std::size_t i = 0; i < placement->worker_cpus.size(); ++i) {
    spdlog::info("placement: worker {} on CPU {}", i, placement->worker_cpus[i]);
  }
  if (placement->shared && config.poll == config::Poll::kAlways) {
    spdlog::warn("poll: always on a shared core: the worker takes all of it from the node's other work");
  }
  return placement;
}

void watch_until_stopped(SwitchState& state, StopSignals& signals) {
  for (;;) {
    if (const auto signal = signals.wait(kHealthInterval)) {
      spdlog::info("stopping: {}", *signal == SIGTERM ? "SIGTERM" : "SIGINT");
      return;
    }
    for (const std::string& name : state.take_dead_ports()) {
      spdlog::warn("port {}: its interface is gone; the next Apply that does not name it removes it", name);
    }
    for (const std::string& name : state.take_memory_losses()) {
      spdlog::warn(
          "port {}: its guest took back the memory that it lent; it is served again when it has connected anew", name);
    }
  }
}

/// From the first worker's first turn to the last one's last.
net::Result<void> serve(const config::Config& config, api::SocketClaim claim, SwitchState& state, WorkerSet& workers,
                        SwitchService& service, StopSignals& signals) {
  const bool always = config.poll == config::Poll::kAlways;
  if (auto started = workers.start(always ? io::PollMode::kAlways : io::PollMode::kAdaptive); !started) return started;
  auto server = api::UnixServer::listen(std::move(claim), service);
  if (!server) return server.error();
  spdlog::info("ready: {} (pid {})", config.switch_socket(), ::getpid());
  api::notify_service_manager("READY=1\n");

  watch_until_stopped(state, signals);

  api::notify_service_manager("STOPPING=1\n");
  service.end_watches();
  (*server)->stop(kStopGrace);
  if (auto closed = state.close(); !closed) spdlog::error("stop: {}", closed.error().message);
  workers.stop();
  return {};
}

/// While it lives, what changes in the underlay is in the snapshots.
class FollowUnderlay {
 public:
  FollowUnderlay(KernelUnderlay& underlay, SwitchState& state) : underlay_(underlay) {
    underlay_.start([&state] {
      if (auto published = state.underlay_changed(); !published) {
        spdlog::error("a change of the underlay: {}", published.error().message);
      }
    });
  }
  ~FollowUnderlay() { underlay_.stop(); }
  FollowUnderlay(const FollowUnderlay&) = delete;
  FollowUnderlay& operator=(const FollowUnderlay&) = delete;

 private:
  KernelUnderlay& underlay_;
};

io::MbufPoolOptions pool_options(const config::Config& config, const Placement& placement, std::uint32_t frame_mtu) {
  return {.count = config.memory.packets,
          .data_room_bytes = frame_mtu + kFrameHeaderBytes,
          .numa_node = placement.numa_node};
}

net::Result<void> run_with_memory(const config::Config& config, api::SocketClaim claim, const Placement& placement,
                                  const std::string& memory, std::uint32_t frame_mtu, StopSignals& signals) {
  auto pool = io::MbufPool::create(pool_options(config, placement, frame_mtu));
  if (!pool) return pool.error();
  io::MbufPool& packets = **pool;

  DeviceOpener opener(packets, static_cast<unsigned>(placement.worker_cpus.size()),
                      SocketDirectory(config.vhost_directory()));
  const auto flows = flow_settings(config, static_cast<unsigned>(placement.worker_cpus.size()));
  if (!flows) return flows.error();
  const Limits limits{config.port_limit, frame_mtu, nat_ports(config), config.rule_limit};
  WorkerSet workers(placement.worker_cpus, *flows, limits, packets);
  const datapath::Gateway gateway{config.gateway.mac, config.gateway.ipv4, config.gateway.ipv6, {}, {}};
  auto underlay = KernelUnderlay::open();
  if (!underlay) return underlay.error();
  auto state = SwitchState::create(limits, gateway, opener, **underlay, workers.access());
  if (!state) return state.error();

  InstanceInfo info;
  info.instance_id = random_instance_id();
  info.version = MILLRACE_VERSION;
  info.memory = memory;
  info.poll = config.poll == config::Poll::kAlways ? "always" : "adaptive";
  info.packets_limit = packets.count();
  info.topology = placement.topology;
  FlowScans flow_scans(workers.access());
  EventHub events(**state, workers.access());
  SwitchService service(**state, flow_scans, events, std::move(info),
                        [&packets] { return std::uint64_t{packets.free_count()}; });
  const FollowUnderlay following(**underlay, **state);
  return serve(config, std::move(claim), **state, workers, service, signals);
}

/// Frames are as large as what the uplink takes; an interface that comes later, or grows, is none to wait for.
std::optional<std::uint32_t> uplink_mtu(const config::Config& config) {
  auto netlink = netlink::Netlink::open();
  if (!netlink) return std::nullopt;
  const auto link = netlink::find_uplink(*netlink, config.uplink, config.host_port);
  if (!link || !*link) return std::nullopt;
  return (*link)->mtu;
}

}  // namespace

net::Result<void> run_daemon(const config::Config& config, StopSignals& signals) {
  spdlog::info("millraced {} (pid {}), config {}", MILLRACE_VERSION, ::getpid(),
               config.file.empty() ? "defaults" : config.file);
  auto claim = api::SocketClaim::take(config.switch_socket());
  if (!claim) return claim.error();
  // Before any thread, so that all of them are in it.
  if (auto shielded = SocketDirectory(config.vhost_directory()).shield(); !shielded) {
    spdlog::warn("vhost-user sockets of pods: {}; pods that want one get an error", shielded.error().message);
  }
  auto placement = place_workers(config);
  if (!placement) return placement.error();
  if (!placement->control_cpus.empty()) {
    if (auto bound = bind_thread(placement->control_cpus); !bound) return bound;
  }
  const std::uint32_t frame_mtu = std::max(config::frame_mtu(config, uplink_mtu(config)), kLeastFrameMtuBytes);
  io::EalOptions eal_options;
  eal_options.hugepages = to_io(config.memory.hugepages);
  eal_options.memory_bytes = io::MbufPool::memory_bytes(pool_options(config, *placement, frame_mtu));
  eal_options.numa_node = placement->numa_node;
  if (io::is_pci_device(config.uplink_device)) eal_options.pci_device = config.uplink_device;
  if (config.memory.hugepages == config::Hugepages::kAuto && start_number() == kStartLimit) {
    eal_options.hugepages = io::HugepageChoice::kOff;
  }
  auto eal = io::start_eal(eal_options);
  if (!eal && eal.error().code == net::ErrorCode::kResourceExhausted && start_number() < kStartLimit) {
    spdlog::warn("{}; starting again", eal.error().message);
    start_again();
  }
  if (!eal) return eal.error();
  spdlog::info("memory: {}", eal->memory);
  auto result = run_with_memory(config, std::move(claim).value(), *placement, eal->memory, frame_mtu, signals);
  io::stop_eal();
  return result;
}

}  // namespace millrace::control::switchd
