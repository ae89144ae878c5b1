// The simulator: production workers over in-memory ports, every choice from one seed. Ports come and go, ids are used
// again, rings run full, workers fall behind; whatever happens
//   - every packet is sent, dropped with a name, or queued (checked after every action),
//   - a pod gets only frames to its own MAC and addresses (no pod ever has the addresses of an earlier one),
//   - every buffer comes back, and old snapshots are freed.
// A failure prints the seed: --gtest_filter='*/SEED' (counted from 0) plays it again.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "net/ip_header.h"
#include "tests/datapath/test_switch.h"
#include "tests/datapath/traffic.h"

namespace millrace::datapath {
namespace {

using namespace tests;

constexpr net::PortId kHost = 0;
constexpr net::PortId kPortLimit = 12;
/// Pods with ids from kPortLimit on that never say a word, in one simulation of kCrowdedEvery: so many that a worker
/// does not poll each port in each turn (poll_order.h).
constexpr unsigned kBystanders = 200, kFirstBystander = 0x8000;
constexpr std::uint64_t kCrowdedEvery = 8;
constexpr unsigned kActions = 3000;

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed)
      : traffic_(seed),
        workers_(1 + static_cast<unsigned>(traffic_.below(4))),
        bystanders_(seed % kCrowdedEvery == 0 ? kBystanders : 0),
        world_({.workers = workers_,
                .port_limit = kPortLimit + bystanders_,
                .packets = 600 + traffic_.below(1500),
                .ring_size = 32 + traffic_.below(100)}) {
    world_.add_host(kHost, any_worker());
    for (unsigned i = 0; i < bystanders_; ++i) {
      world_.add_pod(static_cast<net::PortId>(kPortLimit + i), kFirstBystander + i, any_worker());
    }
    world_.publish();
  }

  void run() {
    for (unsigned i = 0; i < kActions && !testing::Test::HasFatalFailure(); ++i) {
      act();
      world_.check_law();
    }
    finish();
  }

  std::uint64_t forwarded() const { return world_.sum(&PortCounters::tx_packets); }

 private:
  WorkerId any_worker() { return static_cast<WorkerId>(traffic_.below(workers_)); }

  void act() {
    const std::uint64_t choice = traffic_.below(1000);
    if (choice < 20) {
      add_pod();
    } else if (choice < 35) {
      remove_pod();
    } else if (choice < 60) {
      world_.reclaim();
    } else if (choice < 500) {
      send_some();
    } else if (choice < 850) {
      world_.now_ns += traffic_.below(1'000'000);
      world_.step(any_worker());
    } else {
      check_deliveries(static_cast<net::PortId>(traffic_.below(kPortLimit)));
    }
  }

  void add_pod() {
    const auto id = static_cast<net::PortId>(1 + traffic_.below(kPortLimit - 1));
    if (pods_.contains(id)) return;
    const unsigned number = next_number_++;
    PortSpec& port = world_.add_pod(id, number, any_worker());
    if (traffic_.below(3) == 0) port.mtu_bytes = 1280;
    pods_[id] = number;
    known_.push_back(number);
    // Now and then several changes go out in one generation.
    if (traffic_.below(4) != 0) world_.publish();
  }

  void remove_pod() {
    if (pods_.empty()) return;
    auto pod = pods_.begin();
    std::advance(pod, static_cast<std::ptrdiff_t>(traffic_.below(pods_.size())));
    check_deliveries(pod->first);
    world_.remove(pod->first);
    pods_.erase(pod);
    world_.publish();
  }

  void send_some() {
    const std::span<const unsigned> others =
        std::span<const unsigned>(known_).last(std::min<std::size_t>(known_.size(), std::size_t{2} * kPortLimit));
    for (std::uint64_t n = traffic_.below(24); n > 0; --n) {
      if (pods_.empty() || traffic_.below(8) == 0) {
        world_.send(kHost, traffic_.from_host(others));
        continue;
      }
      auto pod = pods_.begin();
      std::advance(pod, static_cast<std::ptrdiff_t>(traffic_.below(pods_.size())));
      world_.send(pod->first, traffic_.from_pod(pod->second, others));
    }
  }

  void check_deliveries(net::PortId id) {
    if (id != kHost && !pods_.contains(id)) return;
    const unsigned number = id == kHost ? 0xff : pods_.at(id);
    for (const Bytes& frame : world_.receive(id)) {
      TestPacket packet(frame);
      ASSERT_EQ(packet.parse(), net::Drop::kNone) << describe(frame);
      ASSERT_EQ(net::ethernet(*packet).destination, mac(pod_mac(number))) << describe(frame);
      ASSERT_EQ(net::ethernet(*packet).source, mac(kGatewayMac)) << describe(frame);
      if (id == kHost) continue;
      if (packet->headers.l3 == net::L3::kIpv4) {
        ASSERT_EQ(net::ipv4(*packet).destination, v4(pod_v4(number))) << describe(frame);
      } else if (packet->headers.l3 == net::L3::kIpv6) {
        ASSERT_EQ(net::ipv6(*packet).destination, v6(pod_v6(number))) << describe(frame);
      }
    }
  }

  void finish() {
    world_.publish();
    world_.run();
    world_.check_law();
    EXPECT_EQ(world_.rings().size(), 0u);
    check_deliveries(kHost);
    for (const auto& [id, number] : pods_) check_deliveries(id);
    EXPECT_EQ(world_.reclaim(), 1u) << "snapshots that nobody needs are still held";
    EXPECT_EQ(world_.pool().free_count(), world_.pool().size()) << "packets were lost: " << world_.drop_text();
  }

  Traffic traffic_;
  unsigned workers_;
  unsigned bystanders_;
  TestSwitch world_;
  std::map<net::PortId, unsigned> pods_;  // id -> pod number
  std::vector<unsigned> known_;           // numbers ever used, newest last
  unsigned next_number_ = 0x100;
};

class SeededSimulation : public testing::TestWithParam<std::uint64_t> {};

TEST_P(SeededSimulation, LosesNothingAndReachesNobodyElse) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  Simulation simulation(GetParam());
  simulation.run();
  EXPECT_GT(simulation.forwarded(), 1000u) << "the simulation did nothing";
}

INSTANTIATE_TEST_SUITE_P(Seeds, SeededSimulation, testing::Range<std::uint64_t>(0, 40));

}  // namespace
}  // namespace millrace::datapath
