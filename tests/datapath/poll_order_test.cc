// Which ports a turn polls: busy ones always, silent ones in their turn, all of them before the worker rests.
#include "datapath/poll_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/datapath/test_switch.h"

namespace millrace::datapath {
namespace {

using namespace tests;

constexpr WorkerId kSelf = 3;  // another worker's ports are none of it
constexpr std::size_t kPortLimit = kMaxPorts;
constexpr std::string_view kNoMac = "00:00:00:00:00:00";

/// Ports that have packets or not, and who was polled when.
class Polls {
 public:
  explicit Polls(std::size_t count) {
    snapshot.ports.resize(kPortLimit);
    for (std::size_t i = 0; i < count; ++i) snapshot.polled[kSelf].push_back(static_cast<net::PortId>(i));
    replace(snapshot.polled[kSelf]);
  }

  void replace(std::vector<net::PortId> ports) {
    snapshot.polled[kSelf] = std::move(ports);
    snapshot.polled[kSelf - 1] = {kMaxPorts - 1};
    ++snapshot.generation;
  }

  /// The ports polled in one turn, in order.
  const std::vector<net::PortId>& turn(bool has_work = false) {
    polled.clear();
    received = 0;
    order.turn(snapshot, kSelf, now, has_work, [&](net::PortId id) {
      polled.push_back(id);
      const auto found = waiting.find(id);
      if (found == waiting.end() || found->second == 0) return 0u;
      const unsigned count = std::min(found->second, kBurst);
      found->second -= count;
      received += count;
      return count;
    });
    return polled;
  }
  bool was_polled(net::PortId id) const { return std::ranges::find(polled, id) != polled.end(); }
  std::size_t port_count() const { return snapshot.polled[kSelf].size(); }

  Snapshot snapshot;
  PollOrder order{kPortLimit};
  nat::TickMs now = 1'000;
  std::map<net::PortId, unsigned> waiting;  // packets
  std::vector<net::PortId> polled;
  unsigned received = 0;
};

TEST(PollOrder, StrideIsOneForFewPortsAndBoundedForAll) {
  struct Row {
    std::size_t ports, stride;
  };
  for (const Row& row : {Row{0, 1}, Row{1, 1}, Row{64, 1}, Row{65, 2}, Row{250, 4}, Row{4096, kLongestStride}}) {
    EXPECT_EQ(PollOrder::stride(row.ports), row.stride) << row.ports << " ports";
  }
}

TEST(PollOrder, TheFirstTurnPollsAllInTheirOrder) {
  Polls polls(300);
  polls.waiting[7] = 1;
  EXPECT_EQ(polls.turn(), polls.snapshot.polled[kSelf]);
}

TEST(PollOrder, ATurnWithoutAPacketPollsEachPortOnce) {
  for (const std::size_t count : {0, 1, 63, 65, 300, 4095}) {
    Polls polls(count);
    for (int i = 0; i < 3; ++i) {
      std::vector<net::PortId> polled = polls.turn();
      std::ranges::sort(polled);
      EXPECT_EQ(polled, polls.snapshot.polled[kSelf]) << count << " ports, turn " << i;
    }
  }
}

TEST(PollOrder, ABusyTurnPollsTheBusyAndNoMoreThanItsShareOfTheSilent) {
  Polls polls(4095);
  polls.waiting[11] = polls.waiting[4000] = kBurst;
  polls.turn();
  for (int i = 0; i < 1000; ++i) {
    polls.waiting[11] = polls.waiting[4000] = kBurst;
    EXPECT_LE(polls.turn().size(), 2 + kSilentPolls);
    EXPECT_TRUE(polls.was_polled(11) && polls.was_polled(4000));
  }
}

TEST(PollOrder, WorkFromElsewhereMakesABusyTurn) {
  Polls polls(4095);
  polls.turn();
  EXPECT_LE(polls.turn(true).size(), kSilentPolls);
  EXPECT_EQ(polls.turn(false).size(), 4095u);
}

TEST(PollOrder, APacketOfASilentPortWaitsAtMostTheStride) {
  for (const std::size_t count : {65, 129, 1000, 4095}) {
    Polls polls(count);
    polls.turn();
    for (std::size_t id = 1; id < count; id += 1 + count / 50) {
      const auto silent = static_cast<net::PortId>(id);
      polls.now += 2 * kSilentAfterMs;  // whoever was busy is not
      polls.waiting[silent] = 1;
      std::size_t turns = 0;
      for (; polls.waiting[silent] > 0; ++turns) {
        polls.waiting[0] = 1;
        polls.turn();
        ASSERT_LT(turns, PollOrder::stride(count)) << "port " << id << " of " << count;
      }
    }
  }
}

TEST(PollOrder, APortIsBusyFromItsFirstPacketUntilItIsSilentForLong) {
  Polls polls(1000);
  polls.turn();
  polls.waiting[500] = 1;
  polls.turn();
  for (nat::TickMs ms = 0; ms < kSilentAfterMs; ++ms, ++polls.now) {
    polls.turn(true);
    EXPECT_TRUE(polls.was_polled(500)) << ms;
  }
  std::size_t times = 0;
  for (std::size_t i = 0; i < 10 * PollOrder::stride(1000); ++i) {
    polls.turn(true);
    times += polls.was_polled(500);
  }
  EXPECT_LE(times, 11u) << "once when it falls silent, then once a round";
  EXPECT_GE(times, 10u);
}

TEST(PollOrder, APortThatWasWrittenToIsBusyAndIsPolledOnceATurn) {
  Polls polls(1000);
  polls.turn();
  for (int i = 0; i < 3; ++i) polls.order.wrote(777, polls.now);
  for (int i = 0; i < 100; ++i) {
    polls.turn(true);
    EXPECT_EQ(std::ranges::count(polls.polled, 777), 1);
  }
}

TEST(PollOrder, TheHostPortAndTheUplinkAreNeverSilent) {
  Polls polls(4095);
  polls.snapshot.ports[17].kind = PortKind::kHost;
  polls.snapshot.ports[18].kind = PortKind::kUplink;
  polls.turn();
  for (int i = 0; i < 1000; ++i, ++polls.now) {
    polls.turn(true);
    EXPECT_TRUE(polls.was_polled(17) && polls.was_polled(18));
  }
}

TEST(PollOrder, BusyPortsArePolledInTheOrderInWhichTheyBecameBusy) {
  const std::vector<net::PortId> newly_busy = {900, 3, 512};
  Polls polls(1000);
  polls.turn();
  for (const net::PortId id : newly_busy) polls.order.wrote(id, polls.now);
  polls.turn(true);
  EXPECT_EQ((std::vector<net::PortId>{polls.polled.begin(), polls.polled.begin() + 3}), newly_busy);
}

TEST(PollOrder, ASnapshotTakesPortsAwayAndBringsNewOnesAtOnce) {
  Polls polls(1000);
  polls.turn();
  polls.order.wrote(10, polls.now);
  polls.order.wrote(20, polls.now);
  std::vector<net::PortId> rest = {20, 30, 2000};
  for (net::PortId id = 100; id < 400; ++id) rest.push_back(id);
  polls.replace(rest);
  EXPECT_EQ(polls.turn(true), rest) << "all of the new ones, in their order, and 10 no more";
  for (int i = 0; i < 20; ++i) {
    polls.turn(true);
    EXPECT_TRUE(polls.was_polled(20)) << "busy before, busy now";
    EXPECT_FALSE(polls.was_polled(10)) << "gone";
  }
}

/// Whatever happens: no port waits longer than the stride since it was polled last, ports that had a packet in the last
/// kSilentAfterMs are polled, no port is polled that is another's, and a turn without packets has polled all.
TEST(PollOrder, KeepsItsLawsInRandomOperation) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    Polls polls(1 + random() % 600);
    std::map<net::PortId, std::uint64_t> last_polled;
    std::map<net::PortId, nat::TickMs> last_heard;
    polls.now = seed % 2 == 0 ? 0xffffffe0 : 1000;  // time goes round
    for (std::uint64_t turn = 1; turn < 600; ++turn) {
      if (random() % 100 == 0) {
        std::vector<net::PortId> ports;
        for (net::PortId id = 0; id < 600; ++id) {
          if (random() % 3 != 0) ports.push_back(id);
        }
        polls.replace(ports);
        for (const net::PortId id : ports) last_polled[id] = turn;  // at the latest
      }
      const std::vector<net::PortId>& ports = polls.snapshot.polled[kSelf];
      for (std::uint64_t n = random() % 5; n > 0; --n) {
        polls.waiting[ports[random() % ports.size()]] = static_cast<unsigned>(1 + random() % 99);
      }
      const bool has_work = random() % 2 == 0;
      const std::map<net::PortId, unsigned> before = polls.waiting;
      polls.turn(has_work);
      for (const net::PortId id : polls.polled) {
        last_polled[id] = turn;
        if (const auto had = before.find(id); had != before.end() && had->second > 0) last_heard[id] = polls.now;
      }
      const std::set<net::PortId> own(ports.begin(), ports.end());
      for (const net::PortId id : polls.polled) ASSERT_TRUE(own.contains(id)) << id;
      for (const net::PortId id : ports) {
        ASSERT_LE(turn - last_polled[id], PollOrder::stride(ports.size()) - 1) << "port " << id;
        const auto heard = last_heard.find(id);
        const bool is_busy = heard != last_heard.end() && polls.now - heard->second < kSilentAfterMs;
        const bool may_rest = polls.received == 0 && !has_work;
        ASSERT_TRUE(last_polled[id] == turn || !(is_busy || may_rest)) << "port " << id << (is_busy ? " is busy" : "");
      }
      if (random() % 3 == 0) polls.now += static_cast<nat::TickMs>(random() % 8);
    }
  }
}

/// The same over a worker: an answer to ARP from a silent pod comes while another pod keeps the worker busy.
TEST(PollOrder, AWorkerThatIsKeptBusyStillHearsASilentPod) {
  constexpr unsigned kPods = 500;
  TestSwitch world({.port_limit = kPods + 1, .ring_size = 64});
  for (unsigned pod = 1; pod <= kPods; ++pod) world.add_pod(static_cast<net::PortId>(pod), pod);
  world.publish();
  EXPECT_EQ(world.step(0).received, 0u);
  const auto ask = [&](unsigned pod) {
    const Bytes frame =
        eth(pod_mac(pod), kBroadcastMac).arp(1, pod_mac(pod), pod_v4(pod), kNoMac, "169.254.1.1").bytes();
    return world.send(static_cast<net::PortId>(pod), frame);
  };
  for (const unsigned silent : {2u, 77u, 300u, 500u}) {
    ASSERT_TRUE(ask(silent));
    std::size_t turns = 0;
    while (world.receive(static_cast<net::PortId>(silent)).empty()) {
      ASSERT_LT(turns++, PollOrder::stride(kPods)) << "pod " << silent;
      ASSERT_TRUE(ask(1));
      EXPECT_GT(world.step(0).received, 0u);
      world.receive(1);
    }
  }
  EXPECT_EQ(world.step(0).received, 0u) << "nothing was left behind";
  world.check_law();
}

}  // namespace
}  // namespace millrace::datapath
