// A flow table asks for memory when it is made and never again: every operator new of this program is counted.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>

#include "tests/nat/flow_samples.h"
#include "tests/net/count_allocations.h"

namespace millrace::nat {
namespace {

template <typename Line>
struct Counter : FlowObserver<Line> {
  void flow_ends(const Line&) noexcept override { ++count; }
  std::uint64_t count = 0;
};

template <typename Line>
void run() {
  using Key = typename Line::Key;
  Counter<Line> ends;
  FlowTable<Line> table(kMinFlowLimit, 3, Timeouts{}, ends);
  std::mt19937 random(9);
  std::array<Key, kFindBurst> keys;
  std::array<Line*, kFindBurst> lines;
  unsigned hits = 0, inserted = 0, refused = 0, swept = 0;
  TickMs now = 0;
  const std::uint64_t before = allocations;
  for (unsigned round = 0; round < 5000; ++round) {
    const bool is_answered = round / 500 % 2 == 0;  // the table fills with flows that cannot be given up
    now += round % 1000 == 0 ? 9'000'000 : 40;      // and then their time is over
    for (Key& key : keys) key = tests::key_number<Key>(static_cast<std::uint32_t>(random()) % 4000);
    table.find(keys, lines);
    for (Line* line : lines) {
      if (line == nullptr) continue;
      ++hits;
      table.touch(*line, now);
      table.set_timer(*line, is_answered ? FlowTimer::kTcpEstablished : FlowTimer::kUdpOneShot, now);
    }
    for (const Key& key : keys) {
      Line* line = nullptr;
      const Inserted result = table.insert(key, key.reversed(), FlowTimer::kTcpHandshake, now, line);
      inserted += result == Inserted::kOk;
      refused += result == Inserted::kFull;
      if (line != nullptr && random() % 8 == 0) table.erase(*line);
    }
    swept += table.sweep(now, 256);
  }
  EXPECT_EQ(allocations - before, 0u);
  // It was no idle run: all of this happened.
  EXPECT_GT(hits, 1000u);
  EXPECT_GT(inserted, 1000u);
  EXPECT_GT(refused, 0u);
  EXPECT_GT(swept, 0u);
  EXPECT_GT(table.evicted(), 0u);
  EXPECT_EQ(ends.count + table.size(), inserted);
}

TEST(FlowTableMemory, NothingIsAllocatedAfterConstruction) {
  const std::uint64_t before = allocations;
  delete new int(1);
  EXPECT_EQ(allocations - before, 1u);
  run<FlowLineV4>();
  run<FlowLineV6>();
}

}  // namespace
}  // namespace millrace::nat
