// Buckets that fill up, keys that move, and tables filled to their limit.
#include "nat/flow_index.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/nat/flow_samples.h"

namespace millrace::nat {
namespace {

constexpr std::size_t kKeys = 2 * kMinFlowLimit;

bool holds(const FlowIndex::Bucket& bucket, std::uint16_t tag, LineNumber line) {
  for (unsigned bits = FlowIndex::matches(bucket, tag); bits != 0; bits &= bits - 1) {
    if (bucket.lines[std::countr_zero(bits)] == line) return true;
  }
  return false;
}

/// As a lookup goes: the first bucket, and the second only when the first says that keys went there.
bool found(const FlowIndex& index, const Probe& probe, LineNumber line) {
  if (holds(index.first(probe), probe.tag, line)) return true;
  return index.first(probe).elsewhere != 0 && holds(index.second(probe), probe.tag, line);
}

TEST(FlowIndex, MatchesTellsEverySlotWithTheTag) {
  FlowIndex::Bucket bucket{};
  EXPECT_EQ(FlowIndex::matches(bucket, 0), 0xffu);
  for (unsigned bits = 0; bits < 256; ++bits) {
    for (unsigned slot = 0; slot < 8; ++slot) {
      bucket.tags[slot] = (bits >> slot & 1) != 0 ? std::uint16_t{0x8001} : static_cast<std::uint16_t>(0x8002 + slot);
    }
    EXPECT_EQ(FlowIndex::matches(bucket, 0x8001), bits);
  }
}

TEST(FlowIndex, KeysOfOneHashFillBothTheirBucketsAndNoMore) {
  FlowIndex index(kKeys);
  const Probe probe{7, 0x1234};
  for (LineNumber line = 0; line < 16; ++line) ASSERT_TRUE(index.insert(probe, line)) << line;
  EXPECT_FALSE(index.insert(probe, 16));
  EXPECT_EQ(index.first(probe).elsewhere, 8u);
  for (LineNumber line = 0; line < 16; ++line) EXPECT_TRUE(found(index, probe, line)) << line;
  EXPECT_FALSE(found(index, probe, 16));
  for (LineNumber line = 0; line < 16; line += 2) index.erase(probe, line);
  for (LineNumber line = 0; line < 16; ++line) EXPECT_EQ(found(index, probe, line), line % 2 == 1) << line;
  for (LineNumber line = 1; line < 16; line += 2) index.erase(probe, line);
  EXPECT_EQ(index.first(probe).elsewhere, 0u);
  EXPECT_EQ(FlowIndex::matches(index.first(probe), 0), 0xffu);
  EXPECT_EQ(FlowIndex::matches(index.second(probe), 0), 0xffu);
}

TEST(FlowIndex, AKeyMovesToItsOtherBucketToMakeRoom) {
  FlowIndex index(kKeys);
  const Probe full{7, 0x1234};
  for (LineNumber line = 0; line < 15; ++line) ASSERT_TRUE(index.insert(full, line));
  // The sixteenth slot goes to a key that can leave it, so a seventeenth key still finds room.
  Probe mover{0, 0x4321};
  for (std::uint32_t bucket = 0; bucket < index.bucket_count(); ++bucket) {
    mover.bucket = bucket;
    if (&index.first(mover) == &index.second(full)) break;
  }
  ASSERT_EQ(&index.first(mover), &index.second(full));
  ASSERT_TRUE(index.insert(mover, 100));
  ASSERT_EQ(index.first(mover).elsewhere, 0u);
  ASSERT_TRUE(index.insert(full, 15));
  EXPECT_EQ(index.first(mover).elsewhere, 1u);
  EXPECT_TRUE(found(index, mover, 100));
  for (LineNumber line = 0; line < 16; ++line) EXPECT_TRUE(found(index, full, line)) << line;
  index.erase(mover, 100);
  EXPECT_EQ(index.first(mover).elsewhere, 0u);
}

TEST(FlowIndex, RandomHashesFillItToItsKeysWithFewElsewhereAndEmptyItAgain) {
  constexpr std::size_t kMany = 1u << 18;  // a power of two: half of the slots
  FlowIndex index(kMany);
  ASSERT_EQ(index.bucket_count() * FlowIndex::kSlots, kMany * 2);
  std::mt19937_64 random(5);
  std::vector<Probe> probes;
  for (std::size_t i = 0; i < kMany; ++i) {
    probes.push_back(index.probe(random()));
    ASSERT_TRUE(index.insert(probes[i], static_cast<LineNumber>(i))) << i;
  }
  std::size_t missing = 0, elsewhere = 0, used = 0;
  for (std::size_t i = 0; i < kMany; ++i) {
    missing += !found(index, probes[i], static_cast<LineNumber>(i));
    elsewhere += !holds(index.first(probes[i]), probes[i].tag, static_cast<LineNumber>(i));
  }
  EXPECT_EQ(missing, 0u);
  EXPECT_LT(elsewhere, kMany / 50);
  EXPECT_GT(elsewhere, 0u);
  for (std::size_t i = 0; i < kMany; ++i) index.erase(probes[i], static_cast<LineNumber>(i));
  for (std::uint32_t bucket = 0; bucket < index.bucket_count(); ++bucket) {
    const FlowIndex::Bucket& at = index.first({bucket, 1});
    used += FlowIndex::matches(at, 0) != 0xff || at.elsewhere != 0 || at.second != 0;
  }
  EXPECT_EQ(used, 0u);
}

TEST(FlowTableFull, AMillionFlowsFitTheirLimitAndNoneMore) {
  constexpr std::uint32_t kFlows = 1u << 20;
  tests::Table<FlowLineV4> table(kFlows);
  std::uint32_t refused = 0, lost = 0;
  for (std::uint32_t number = 0; number < kFlows; ++number) refused += table.add(number) == nullptr;
  EXPECT_EQ(refused, 0u);
  EXPECT_EQ(table.size(), kFlows);
  EXPECT_EQ(table.add(kFlows), nullptr);
  for (std::uint32_t number = 0; number < kFlows; ++number) {
    const FlowLineV4* const line = table.get(number);
    lost += line == nullptr || table.find(line[1].key) != line + 1;
  }
  EXPECT_EQ(lost, 0u);
  EXPECT_EQ(table.memory_bytes(), std::size_t{kFlows} * 168);
  EXPECT_EQ(table.sweep(9'000'000, kFlows), kFlows);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.ended().size(), kFlows);
}

}  // namespace
}  // namespace millrace::nat
