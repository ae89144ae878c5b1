// Flows over time: timers, the sweep's turn, stretched times, and what is given up when the table is nearly full.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/nat/flow_samples.h"

namespace millrace::nat {
namespace {

using tests::key_number;
using Table = tests::Table<FlowLineV4>;

constexpr unsigned kAll = 1u << 30;
constexpr TickMs kStart = 0xfffff000;  // the clock wraps in four seconds
constexpr std::uint32_t kPressureSize = kMinFlowLimit * kPressurePercent / 100;

TEST(FlowTableTime, EachTimerKeepsAFlowForItsTimeAndAtMostAnEighthLonger) {
  const Timeouts timeouts;
  for (unsigned number = 1; number < kFlowTimerCount; ++number) {
    SCOPED_TRACE(number);
    const auto timer = static_cast<FlowTimer>(number);
    Table table;
    ASSERT_NE(table.add(1, timer, kStart), nullptr);
    EXPECT_EQ(table.sweep(kStart + timeouts.of(timer) - 1, kAll), 0u);
    const TickMs grain_ms = is_steady(timer) ? kSeenGrainMs : 0;
    EXPECT_EQ(table.sweep(kStart + timeouts.of(timer) / 8 * 9 + grain_ms, kAll), 1u);
    EXPECT_EQ(table.ended().size(), 1u);
    EXPECT_EQ(table.get(1), nullptr);
  }
}

TEST(FlowTableTime, APacketEitherWayKeepsTheFlow) {
  for (const FlowTimer timer : {FlowTimer::kUdpOneShot, FlowTimer::kUdpStream}) {
    Table table;
    FlowLineV4* const line = table.add(1, timer, kStart);
    const TickMs timeout = Timeouts{}.of(timer);
    TickMs now = kStart;
    for (unsigned round = 0; round < 20; ++round) {
      now += timeout - 1;
      table.touch(line[round % 2], now);
      EXPECT_EQ(table.sweep(now + timeout - 1, kAll), 0u);
    }
  }
}

TEST(FlowTableTime, ASteadyFlowIsNotedOnceAGrainAndOthersToTheTick) {
  Table table;
  FlowLineV4* const steady = table.add(1, FlowTimer::kUdpStream, 0);
  FlowLineV4* const other = table.add(2, FlowTimer::kUdpOneShot, 0);
  for (TickMs now = 1; now < 5 * kSeenGrainMs; now += 7) {
    table.touch(steady[now % 2], now);
    table.touch(other[now % 2], now);
    EXPECT_EQ(table.last_seen(table.id_of(*other)), now);
    const TickMs noted = table.last_seen(table.id_of(*steady));
    EXPECT_EQ(noted / kSeenGrainMs, now / kSeenGrainMs);
    EXPECT_LT(noted % kSeenGrainMs, 7u);
  }
}

TEST(FlowTableTime, AFlowSeenAgainAfterTheTickOfItsLineHasWrappedIsNoted) {
  Timeouts timeouts;
  timeouts.ms.fill(kMaxTimeoutMs);
  Table table(kMinFlowLimit, 1, timeouts);
  FlowLineV4* const line = table.add(1, FlowTimer::kTcpEstablished, 5);
  constexpr TickMs kWrapMs = kSeenGrainMs << 16;
  EXPECT_EQ(table.sweep(kWrapMs / 2 + 5, kAll), 0u);
  table.touch(*line, kWrapMs + 5);
  EXPECT_EQ(table.last_seen(table.id_of(*line)), kWrapMs + 5);
}

TEST(FlowTableTime, CreationIsRememberedAcrossTouchesAndTimers) {
  Table table;
  FlowLineV4* const line = table.add(1, FlowTimer::kTcpHandshake, kStart + 300);
  table.touch(*line, kStart + 5000);
  table.set_timer(*line, FlowTimer::kTcpEstablished, kStart + 5000);
  const TickMs age = kStart + 5000 - table.created(table.id_of(*line));
  EXPECT_GE(age, 4700u);
  EXPECT_LT(age, 4700u + Table::kCreatedGrainMs);
}

TEST(FlowTableTime, ASweepInSlicesLooksAtEverySlotOnceARound) {
  for (const unsigned budget : {1u, 7u, 32u, 33u, 100u, 999u, 1000u}) {
    SCOPED_TRACE(budget);
    Table table;
    for (std::uint32_t number = 0; number < 1000; ++number) table.add(number, FlowTimer::kTcpClosed, kStart);
    unsigned ended = 0, slots = 0;
    for (; slots + budget <= 1000; slots += budget) {
      const unsigned in_slice = table.sweep(kStart + 60'000, budget);
      EXPECT_EQ(in_slice, budget);
      ended += in_slice;
    }
    EXPECT_EQ(table.size(), 1000 - ended);
    EXPECT_EQ(table.sweep(kStart + 60'000, budget), 1000 - slots);
    EXPECT_EQ(table.size(), 0u);
  }
}

TEST(FlowTableTime, FlowsMadeTogetherEndSpreadOverTheEighth) {
  Table table(4096);
  constexpr TickMs kTimeout = 300'000;  // kUdpStream
  for (std::uint32_t number = 0; number < 4096; ++number) {
    ASSERT_NE(table.add(number, FlowTimer::kUdpStream, kStart), nullptr);
  }
  EXPECT_EQ(table.sweep(kStart + kTimeout + kSeenGrainMs - 1, kAll), 0u);
  for (unsigned part = 1; part <= 8; ++part) {
    const unsigned ended = table.sweep(kStart + kTimeout + kSeenGrainMs + kTimeout / 64 * part, kAll);
    EXPECT_NEAR(ended, 512, 140) << part;  // six standard deviations
  }
  EXPECT_EQ(table.size(), 0u);
}

TEST(FlowTableTime, FlowsMayEndAndBeginBetweenSlicesOfASweep) {
  Table table;
  for (std::uint32_t number = 0; number < 900; ++number) table.add(number, FlowTimer::kTcpClosed, kStart);
  const TickMs later = kStart + 60'000;
  std::set<std::uint32_t> alive;
  std::uint32_t next = 1000;
  for (unsigned slice = 0; slice < 45; ++slice) {
    table.sweep(later, 20);
    // One that the sweep has passed, one ahead of it, and a new one in either's slot.
    if (FlowLineV4* const line = table.get(899 - slice)) table.erase(*line);
    if (FlowLineV4* const line = table.get(next - 2)) {
      table.erase(*line);
      alive.erase(next - 2);
    }
    ASSERT_NE(table.add(next, FlowTimer::kTcpClosed, later), nullptr);
    alive.insert(next++);
  }
  EXPECT_EQ(table.size(), alive.size());
  for (const std::uint32_t number : alive) EXPECT_NE(table.get(number), nullptr) << number;
  std::set<net::FlowKeyV4> once(table.ended().begin(), table.ended().end());
  EXPECT_EQ(once.size(), table.ended().size());
  EXPECT_EQ(table.ended().size(), 900 + 45 - alive.size());
}

TEST(FlowTablePressure, BelowItNothingIsGivenUp) {
  Table table;
  for (std::uint32_t number = 0; number < kPressureSize; ++number) {
    ASSERT_NE(table.add(number, FlowTimer::kTcpHandshake, kStart + number), nullptr);
  }
  EXPECT_EQ(table.evicted(), 0u);
  EXPECT_EQ(table.size(), kPressureSize);
}

TEST(FlowTablePressure, TheHalfOpenFlowUnseenLongestAmongTheProbedGoesFirst) {
  Table table;
  for (std::uint32_t number = 0; number < kPressureSize; ++number) {
    const bool is_old = number % kEvictionProbes == 40;
    ASSERT_NE(table.add(number, FlowTimer::kUdpOneShot, is_old ? kStart : kStart + 100), nullptr);
  }
  for (std::uint32_t round = 0; round < 5; ++round) {
    ASSERT_NE(table.add(10'000 + round, FlowTimer::kUdpOneShot, kStart + 200), nullptr);
    ASSERT_EQ(table.ended().size(), round + 1);
    EXPECT_EQ(table.ended().back(), key_number<net::FlowKeyV4>(round * kEvictionProbes + 40));
  }
  EXPECT_EQ(table.evicted(), 5u);
  EXPECT_EQ(table.size(), kPressureSize);
}

TEST(FlowTablePressure, AFlowTouchedInThisTickStays) {
  Table table;
  std::uint32_t number = 0;
  for (; number < kMinFlowLimit; ++number) { ASSERT_NE(table.add(number, FlowTimer::kTcpHandshake, kStart), nullptr); }
  FlowLineV4* line = nullptr;
  const auto key = key_number<net::FlowKeyV4>(number);
  EXPECT_EQ(table.insert(key, key.reversed(), FlowTimer::kTcpHandshake, kStart, line), Inserted::kFull);
  EXPECT_EQ(table.evicted(), 0u);
  for (std::uint32_t seen = 0; seen < kMinFlowLimit; ++seen) {
    if (seen != 777) table.touch(*table.get(seen), kStart + 1);
  }
  for (unsigned round = 0; round < kMinFlowLimit / kEvictionProbes && line == nullptr; ++round) {
    table.insert(key, key.reversed(), FlowTimer::kTcpHandshake, kStart + 1, line);
  }
  ASSERT_NE(line, nullptr);
  ASSERT_EQ(table.ended().size(), 1u);
  EXPECT_EQ(table.ended()[0], key_number<net::FlowKeyV4>(777));
}

TEST(FlowTablePressure, ClosedFlowsGoBeforeHalfOpenOnesABatchAtOnce) {
  Table table;
  // In each window of probes 24 are closed, some of them later; the half-open ones are older than any.
  const auto is_closed_one = [](std::uint32_t number) { return number % kEvictionProbes % 8 < 3; };
  const auto is_late = [](std::uint32_t number) { return number % kEvictionProbes >= 40; };
  for (std::uint32_t number = 0; number < kPressureSize; ++number) {
    const FlowTimer timer = is_closed_one(number) ? FlowTimer::kTcpClosed : FlowTimer::kTcpHandshake;
    const TickMs seen = is_closed_one(number) ? (is_late(number) ? kStart + 20 : kStart + 10) : kStart;
    ASSERT_NE(table.add(number, timer, seen), nullptr);
  }
  ASSERT_NE(table.add(10'000, FlowTimer::kTcpHandshake, kStart + 30), nullptr);
  EXPECT_EQ(table.evicted(), kEvictionBatch);
  EXPECT_EQ(table.ended().size(), kEvictionBatch);
  unsigned early = 0;
  for (std::uint32_t number = 0; number < kEvictionProbes; ++number) {
    if (table.get(number) != nullptr) continue;
    EXPECT_TRUE(is_closed_one(number)) << number;
    early += is_late(number) ? 0 : 1;
  }
  EXPECT_EQ(early, 15u);  // all that were closed first, and one of those after
  // There is room for what comes next.
  for (std::uint32_t number = 1; number < kEvictionBatch; ++number) {
    ASSERT_NE(table.add(10'000 + number, FlowTimer::kTcpHandshake, kStart + 30), nullptr);
  }
  EXPECT_EQ(table.evicted(), kEvictionBatch);
}

TEST(FlowTablePressure, WhereClosedFlowsAreTooFewHalfOpenOnesGoToo) {
  Table table;
  const auto is_closed_one = [](std::uint32_t number) { return number % kEvictionProbes == 5; };
  for (std::uint32_t number = 0; number < kMinFlowLimit; ++number) {
    const FlowTimer timer = is_closed_one(number) ? FlowTimer::kTcpClosed : FlowTimer::kUdpOneShot;
    ASSERT_NE(table.add(number, timer, kStart), nullptr);
  }
  for (std::uint32_t number = 0; number < 8; ++number) {
    ASSERT_NE(table.add(10'000 + number, FlowTimer::kUdpOneShot, kStart + 1), nullptr);
  }
  EXPECT_EQ(table.size(), kPressureSize);
  unsigned closed = 0;
  for (std::uint32_t number = 0; number < kMinFlowLimit; ++number) {
    closed += is_closed_one(number) && table.get(number) == nullptr ? 1 : 0;
  }
  EXPECT_GE(closed, 6u);  // one a window of probes, of which one may be cut by the table's end
  EXPECT_LE(closed, 8u);
}

TEST(FlowTablePressure, ConnectionsThatComeAndGoAreNeverRefused) {
  Table table;
  for (std::uint32_t number = 0; number < 500; ++number) table.add(number, FlowTimer::kTcpEstablished, kStart);
  for (std::uint32_t number = 0; number < 50'000; ++number) {
    const TickMs now = kStart + 1 + number / 100;
    FlowLineV4* const line = table.add(1000 + number, FlowTimer::kTcpHandshake, now);
    ASSERT_NE(line, nullptr) << number;
    table.set_timer(*line, FlowTimer::kTcpEstablished, now);
    table.set_timer(*line, FlowTimer::kTcpClosed, now);
  }
  for (std::uint32_t number = 0; number < 500; ++number) EXPECT_NE(table.get(number), nullptr) << number;
  EXPECT_EQ(table.evicted(), 50'500 - table.size());
  EXPECT_GE(table.size(), kPressureSize - kEvictionBatch);
}

TEST(FlowTablePressure, FlowsThatWereAnsweredAndGoOnAreNeverGivenUp) {
  for (unsigned number = 1; number < kFlowTimerCount; ++number) {
    const auto timer = static_cast<FlowTimer>(number);
    if (is_half_open(timer) || is_closed(timer)) continue;
    Table table;
    for (std::uint32_t flow = 0; flow < kMinFlowLimit; ++flow) ASSERT_NE(table.add(flow, timer, kStart), nullptr);
    EXPECT_EQ(table.add(kMinFlowLimit, FlowTimer::kTcpHandshake, kStart + 5000), nullptr);
    EXPECT_EQ(table.size(), table.limit());
    EXPECT_TRUE(table.ended().empty());
    table.erase(*table.get(3));
    EXPECT_NE(table.add(kMinFlowLimit, FlowTimer::kTcpHandshake, kStart + 5000), nullptr);
  }
}

TEST(FlowTablePressure, AFloodOfHalfOpenFlowsLeavesTheAnsweredOnesAlone) {
  Table table;
  for (std::uint32_t number = 0; number < 500; ++number) table.add(number, FlowTimer::kTcpEstablished, kStart);
  for (std::uint32_t number = 0; number < 50'000; ++number) {
    ASSERT_NE(table.add(1000 + number, FlowTimer::kTcpHandshake, kStart + 1 + number / 10), nullptr) << number;
  }
  for (std::uint32_t number = 0; number < 500; ++number) EXPECT_NE(table.get(number), nullptr) << number;
  EXPECT_EQ(table.evicted(), 50'500 - table.size());
}

}  // namespace
}  // namespace millrace::nat
