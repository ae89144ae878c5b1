// Two workers on threads of their own while control publishes, removes and reclaims: what the thread sanitizer watches
// (meson setup -Db_sanitize=thread), and the same laws as the simulator once they stopped.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "datapath/flow_scan.h"
#include "tests/datapath/flow_world.h"
#include "tests/datapath/test_switch.h"
#include "tests/datapath/traffic.h"

namespace millrace::datapath {
namespace {

using namespace tests;

constexpr unsigned kWorkers = 2;
constexpr net::PortId kHost = 0, kStays = 1, kStaysToo = 2, kComesAndGoes = 3;
constexpr unsigned kGenerations = 200;

void run_worker(Worker& worker, const std::atomic<bool>& stop) {
  for (std::uint64_t now_ns = 1; !stop.load(std::memory_order_relaxed); now_ns += 1000) {
    if (worker.step(now_ns).received == 0) std::this_thread::yield();
  }
}

/// True when every worker saw the generation before a minute is over.
bool wait_until_seen(const Publisher& publisher, std::uint64_t generation) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!publisher.seen_by_all(generation)) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(Threads, WorkersForwardWhileControlChangesEverything) {
  TestSwitch world({.workers = kWorkers, .port_limit = 8, .packets = 4096, .ring_size = 256});
  world.add_host(kHost, 0);
  world.add_pod(kStays, 1, 0);
  world.add_pod(kStaysToo, 2, 1);
  world.publish();

  std::atomic<bool> stop{false};
  std::vector<std::jthread> threads;
  for (WorkerId id = 0; id < kWorkers; ++id) threads.emplace_back([&, id] { run_worker(world.worker(id), stop); });

  Traffic traffic(1);
  std::uint64_t delivered = 0;
  unsigned number = 0x100;
  for (unsigned i = 0; i < kGenerations; ++i) {
    if (i % 2 == 0) {
      world.add_pod(kComesAndGoes, ++number, static_cast<WorkerId>(i / 2 % kWorkers));
    } else {
      delivered += world.receive(kComesAndGoes).size();
      world.remove(kComesAndGoes);
    }
    world.publish();
    const unsigned others[] = {1, 2, number};
    for (unsigned n = 0; n < 20; ++n) {
      world.send(kStays, traffic.from_pod(1, others));
      world.send(kStaysToo, traffic.from_pod(2, others));
      world.send(kHost, traffic.from_host(others));
      if (i % 2 == 0) world.send(kComesAndGoes, traffic.from_pod(number, others));
    }
    for (const net::PortId id : {kHost, kStays, kStaysToo}) delivered += world.receive(id).size();
    if (i % 4 == 3) {
      EXPECT_TRUE(wait_until_seen(world.publisher(), world.generation()));
      EXPECT_EQ(world.reclaim(), 1u);
    }
  }
  EXPECT_TRUE(wait_until_seen(world.publisher(), world.generation()));
  stop = true;
  threads.clear();

  world.run();
  for (const net::PortId id : {kHost, kStays, kStaysToo}) delivered += world.receive(id).size();
  EXPECT_EQ(world.reclaim(), 1u);
  world.check_law();
  EXPECT_EQ(world.pool().free_count(), world.pool().size()) << world.drop_text();
  EXPECT_GT(delivered, 1000u);
}

/// Waits until the worker has said what became of the scan.
bool wait_for(const FlowScan& scan) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (scan.state.load(std::memory_order_acquire) == FlowScan::State::kPosted) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

// Flows of one worker's pod with another's, through a service and the masquerade, are listed and now and then ended by
// control all the while.
TEST(Threads, FlowsAreListedAndEndedWhileTheyCrossFromWorkerToWorker) {
  TestSwitch world({.workers = kWorkers, .port_limit = 8, .packets = 4096, .ring_size = 256});
  describe_nat(world);
  world.add_host(kHost, 0);
  world.add_pod(kStays, 1, 0).masquerade = true;
  world.add_pod(kStaysToo, 2, 1).masquerade = true;
  world.services = {service_to("10.96.0.10", net::ip_protocol::kUdp, 53, {pod_v4(1), pod_v4(2)}, 5353)};
  world.publish();
  std::atomic<bool> stop{false};
  std::vector<std::jthread> threads;
  for (WorkerId id = 0; id < kWorkers; ++id) threads.emplace_back([&, id] { run_worker(world.worker(id), stop); });

  std::vector<FlowRecord> records(64);
  std::uint64_t delivered = 0, listed = 0, flushed = 0;
  for (unsigned i = 0; i < kGenerations; ++i) {
    const auto port = static_cast<std::uint16_t>(20'000 + i);
    for (const unsigned pod : {1u, 2u}) {
      const auto id = static_cast<net::PortId>(pod);
      for (const char* const to : {"10.96.0.10", "198.51.100.1", pod == 1 ? "10.244.0.2" : "10.244.0.1"}) {
        world.send(id, eth(pod_mac(pod), kGatewayMac).ipv4(pod_v4(pod), to).udp(port, 53).bytes());
      }
    }
    FlowScan scan;
    scan.records = records;
    scan.ends = i % 5 == 4;
    if (i % 2 == 0) scan.addresses = {net::IpAddress::from(v4(pod_v4(1)))};
    do {
      scan.count = 0;
      world.worker(static_cast<WorkerId>(i / 2 % kWorkers)).post(scan);
      EXPECT_TRUE(wait_for(scan)) << "a worker does not turn";
      (scan.ends ? flushed : listed) += scan.count;
    } while (scan.state.load() == FlowScan::State::kFull);
    if (i % 8 == 7) world.publish();
    for (const net::PortId id : {kHost, kStays, kStaysToo}) delivered += world.receive(id).size();
  }
  EXPECT_TRUE(wait_until_seen(world.publisher(), world.generation()));
  stop = true;
  threads.clear();
  world.run();
  for (const net::PortId id : {kHost, kStays, kStaysToo}) delivered += world.receive(id).size();
  world.check_law();
  EXPECT_EQ(world.pool().free_count(), world.pool().size()) << world.drop_text();
  EXPECT_EQ(delivered, 6u * kGenerations) << world.drop_text();
  EXPECT_GT(listed, kGenerations);
  EXPECT_GT(flushed, kGenerations);
}

}  // namespace
}  // namespace millrace::datapath
