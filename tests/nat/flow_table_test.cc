// What a flow table promises, flow by flow. Random operations: flow_table_model_test.cc; time: flow_table_time_test.cc.
#include "nat/flow_table.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <stdexcept>

#include "tests/nat/flow_samples.h"

namespace millrace::nat {
namespace {

using tests::key_number;

template <typename Line>
class FlowTableOf : public ::testing::Test {
 protected:
  using Key = typename Line::Key;
  using Table = tests::Table<Line>;
};

using Lines = ::testing::Types<FlowLineV4, FlowLineV6>;
TYPED_TEST_SUITE(FlowTableOf, Lines);

TYPED_TEST(FlowTableOf, FindsAFlowByTheTuplesOfBothDirections) {
  typename TestFixture::Table table;
  const auto original = key_number<typename TestFixture::Key>(1);
  auto reply = original.reversed();
  reply.destination_port = 1234;  // masqueraded
  TypeParam* line = nullptr;
  ASSERT_EQ(table.insert(original, reply, FlowTimer::kTcpHandshake, 77, line), Inserted::kOk);
  EXPECT_EQ(table.find(original), line);
  EXPECT_EQ(table.find(reply), line + 1);
  EXPECT_EQ(table.find(original.reversed()), nullptr);
  EXPECT_EQ(line->key, original);
  EXPECT_EQ(line[1].key, reply);
  EXPECT_EQ(line->to, (decltype(line->to){original.source, original.destination, original.source_port, 443}));
  EXPECT_EQ(line->flags, 0);
  EXPECT_EQ(line[1].flags, line_flag::kReply);
  EXPECT_EQ(&line->partner(), line + 1);
  EXPECT_EQ(&line[1].original(), line);
  EXPECT_EQ(line->out_port, net::kNoPort);
  EXPECT_EQ(line->packets + line->bytes + line->epoch + line->tcp_flags, 0u);
  EXPECT_EQ(table.id_of(line[1]), table.id_of(*line));
  EXPECT_EQ(table.at(table.id_of(*line)), line);
  EXPECT_EQ(table.size(), 1u);
}

TYPED_TEST(FlowTableOf, EveryFieldOfAKeyTellsFlowsApart) {
  typename TestFixture::Table table;
  const auto base = key_number<typename TestFixture::Key>(5);
  ASSERT_NE(table.add(5), nullptr);
  for (std::size_t byte = 0; byte < offsetof(typename TestFixture::Key, protocol) + 1; ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      auto other = base;
      reinterpret_cast<unsigned char*>(&other)[byte] ^= static_cast<unsigned char>(1 << bit);
      EXPECT_EQ(table.find(other), nullptr) << "byte " << byte << " bit " << bit;
      EXPECT_FALSE(same_key(other, base)) << "byte " << byte << " bit " << bit;
    }
  }
  EXPECT_TRUE(same_key(base, key_number<typename TestFixture::Key>(5)));
}

TYPED_TEST(FlowTableOf, ATupleBelongsToOneFlow) {
  typename TestFixture::Table table;
  TypeParam* const first = table.add(1);
  const auto one = key_number<typename TestFixture::Key>(1), two = key_number<typename TestFixture::Key>(2);
  TypeParam* line = nullptr;
  EXPECT_EQ(table.insert(one, two, FlowTimer::kIcmp, 0, line), Inserted::kTaken);
  EXPECT_EQ(table.insert(two, one, FlowTimer::kIcmp, 0, line), Inserted::kTaken);
  EXPECT_EQ(table.insert(two, one.reversed(), FlowTimer::kIcmp, 0, line), Inserted::kTaken);
  EXPECT_EQ(line, nullptr);
  EXPECT_EQ(table.find(two), nullptr);
  EXPECT_EQ(table.find(one), first);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_TRUE(table.ended().empty());
}

TYPED_TEST(FlowTableOf, AFlowToItselfIsFoundAsItsOriginalAndEndsOnce) {
  typename TestFixture::Table table;
  auto key = key_number<typename TestFixture::Key>(1);
  key.source = key.destination;
  key.source_port = key.destination_port;
  ASSERT_EQ(key, key.reversed());
  TypeParam* line = nullptr;
  ASSERT_EQ(table.insert(key, key, FlowTimer::kUdpOneShot, 0, line), Inserted::kOk);
  EXPECT_EQ(table.find(key), line);
  EXPECT_FALSE(line->is_reply());
  EXPECT_EQ(table.insert(key, key, FlowTimer::kUdpOneShot, 0, line), Inserted::kTaken);
  table.erase(*line);
  EXPECT_EQ(table.find(key), nullptr);
  EXPECT_EQ(table.ended().size(), 1u);
  ASSERT_EQ(table.insert(key, key, FlowTimer::kUdpOneShot, 0, line), Inserted::kOk);
}

TYPED_TEST(FlowTableOf, EitherLineEndsTheFlowAndTheObserverSeesTheOriginal) {
  typename TestFixture::Table table;
  const TypeParam* const first = table.add(1);
  const TypeParam* const second = table.add(2);
  const FlowId id = table.id_of(*second);
  table.erase(*first);
  table.erase(second[1]);
  ASSERT_EQ(table.ended().size(), 2u);
  EXPECT_EQ(table.ended()[0], key_number<typename TestFixture::Key>(1));
  EXPECT_EQ(table.ended()[1], key_number<typename TestFixture::Key>(2));
  EXPECT_EQ(table.get(1), nullptr);
  EXPECT_EQ(table.find(key_number<typename TestFixture::Key>(2).reversed()), nullptr);
  EXPECT_EQ(table.at(id), nullptr);
  EXPECT_EQ(table.size(), 0u);
}

TYPED_TEST(FlowTableOf, ABatchOfFlowsEndsAndAllOthersStay) {
  typename TestFixture::Table table;
  std::vector<FlowId> ids;
  for (std::uint32_t number = 0; number < 3 * kEndBatch; ++number) {
    const TypeParam* const line = table.add(number);
    ASSERT_NE(line, nullptr);
    if (number % 3 == 1) ids.push_back(table.id_of(*line));
  }
  ASSERT_EQ(ids.size(), kEndBatch);
  table.end_flows(ids);
  EXPECT_EQ(table.size(), 2 * kEndBatch);
  ASSERT_EQ(table.ended().size(), kEndBatch);
  for (std::uint32_t number = 0; number < 3 * kEndBatch; ++number) {
    const auto key = key_number<typename TestFixture::Key>(number);
    EXPECT_EQ(table.find(key) == nullptr, number % 3 == 1) << number;
    EXPECT_EQ(table.find(key.reversed()) == nullptr, number % 3 == 1) << number;
    if (number % 3 == 1) { EXPECT_EQ(table.ended()[number / 3], key); }
  }
  for (std::uint32_t number = 1; number < 3 * kEndBatch; number += 3) ASSERT_NE(table.add(number), nullptr);
  EXPECT_EQ(table.opened(), 3 * kEndBatch) << "in the slots that came free";
  table.end_flows({});
  EXPECT_EQ(table.size(), 3 * kEndBatch);
}

TYPED_TEST(FlowTableOf, TheSlotFreedLastIsUsedFirstAndItsLinesAreNew) {
  typename TestFixture::Table table;
  for (std::uint32_t number = 0; number < 4; ++number) ASSERT_NE(table.add(number), nullptr);
  TypeParam* const two = table.get(2);
  two->packets = 9;
  two[1].tcp_flags = 3;
  two[1].flags |= line_flag::kMasquerade;
  table.erase(*table.get(0));
  table.erase(*two);
  TypeParam* const again = table.add(9);
  EXPECT_EQ(again, two);
  EXPECT_EQ(again->packets, 0u);
  EXPECT_EQ(again[1].tcp_flags, 0);
  EXPECT_EQ(again[1].flags, line_flag::kReply | line_flag::kSteady);
  EXPECT_EQ(table.opened(), 4u);
}

TYPED_TEST(FlowTableOf, FindsBurstsOfEverySizeWithHitsAndMisses) {
  typename TestFixture::Table table;
  for (std::uint32_t number = 0; number < 200; ++number) ASSERT_NE(table.add(number), nullptr);
  for (std::size_t count = 0; count <= kFindBurst; ++count) {
    std::array<typename TestFixture::Key, kFindBurst> keys;
    std::array<TypeParam*, kFindBurst> lines;
    TypeParam untouched;
    lines.fill(&untouched);
    for (std::size_t i = 0; i < count; ++i) {
      const auto key = key_number<typename TestFixture::Key>(static_cast<std::uint32_t>(i * 7 % 250));
      keys[i] = i % 3 == 0 ? key.reversed() : key;
    }
    table.find({keys.data(), count}, {lines.data(), count});
    for (std::size_t i = 0; i < kFindBurst; ++i) {
      EXPECT_EQ(lines[i], i < count ? table.find(keys[i]) : &untouched) << count << ": " << i;
      const bool is_hit = lines[i] != nullptr && lines[i] != &untouched;
      EXPECT_EQ(is_hit, i < count && i * 7 % 250 < 200) << count << ": " << i;
    }
  }
}

TYPED_TEST(FlowTableOf, ASearchBegunBeforeAnInsertFindsWhatWasInserted) {
  typename TestFixture::Table table;
  const std::array keys = {key_number<typename TestFixture::Key>(1), key_number<typename TestFixture::Key>(2)};
  std::array<Probe, 2> probes;
  std::array<TypeParam*, 2> lines{};
  table.start(keys, probes);
  TypeParam* const second = table.add(2);
  table.find(keys, probes, lines);
  EXPECT_EQ(lines[0], nullptr);
  EXPECT_EQ(lines[1], second);
}

TYPED_TEST(FlowTableOf, TheTimerIsThePairsAndMarksSteadyLines) {
  typename TestFixture::Table table;
  TypeParam* const line = table.add(1, FlowTimer::kUdpOneShot);
  EXPECT_EQ(table.timer(line[1]), FlowTimer::kUdpOneShot);
  for (unsigned number = 1; number < kFlowTimerCount; ++number) {
    const auto timer = static_cast<FlowTimer>(number);
    table.set_timer(line[number % 2], timer, 0);
    EXPECT_EQ(table.timer(*line), timer);
    EXPECT_EQ(table.timer(line[1]), timer);
    EXPECT_EQ(line->is_steady(), is_steady(timer)) << number;
    EXPECT_EQ(line[1].is_steady(), is_steady(timer)) << number;
    EXPECT_TRUE(line[1].is_reply());
  }
}

TYPED_TEST(FlowTableOf, ALimitOutOfRangeIsRefused) {
  EXPECT_THROW(typename TestFixture::Table(kMinFlowLimit - 1), std::invalid_argument);
  EXPECT_THROW(typename TestFixture::Table(kMaxFlowLimit + 1), std::invalid_argument);
  EXPECT_EQ(typename TestFixture::Table(1500).limit(), 1500u);
}

TEST(FlowHash, TheSeedDecidesTheBuckets) {
  FlowIndex index(2 * kMinFlowLimit);
  const FlowHash one(1), two(2);
  unsigned same_v4 = 0, same_v6 = 0;
  constexpr unsigned kKeys = 20'000;
  for (std::uint32_t number = 0; number < kKeys; ++number) {
    const auto v4 = key_number<net::FlowKeyV4>(number);
    const auto v6 = key_number<net::FlowKeyV6>(number);
    same_v4 += index.probe(one(v4)).bucket == index.probe(two(v4)).bucket;
    same_v6 += index.probe(one(v6)).bucket == index.probe(two(v6)).bucket;
    EXPECT_EQ(one(v4), FlowHash(1)(v4));
  }
  // As often as chance has it: 512 buckets, so 39 of 20000; six standard deviations are 37.
  ASSERT_EQ(index.bucket_count(), 512u);
  EXPECT_NEAR(same_v4, kKeys / 512.0, 37);
  EXPECT_NEAR(same_v6, kKeys / 512.0, 37);
}

template <typename Key>
void check_avalanche(std::size_t key_bytes) {
  const FlowHash hash(7);
  std::mt19937 random(11);
  for (std::size_t bit = 0; bit < key_bytes * 8; ++bit) {
    std::array<unsigned, 64> flips{};
    for (unsigned round = 0; round < 512; ++round) {
      Key key;
      auto* const bytes = reinterpret_cast<unsigned char*>(&key);
      for (std::size_t at = 0; at < key_bytes; ++at) bytes[at] = static_cast<unsigned char>(random());
      const std::uint64_t before = hash(key);
      bytes[bit / 8] ^= static_cast<unsigned char>(1 << bit % 8);
      const std::uint64_t changed = before ^ hash(key);
      for (unsigned at = 0; at < 64; ++at) flips[at] += static_cast<unsigned>(changed >> at & 1);
    }
    // 512 throws of a coin: six standard deviations are 68.
    for (unsigned at = 0; at < 64; ++at) EXPECT_NEAR(flips[at], 256, 68) << "bit " << bit << " -> " << at;
  }
}

TEST(FlowHash, EveryBitOfAKeyReachesEveryBitOfTheHash) {
  check_avalanche<net::FlowKeyV4>(13);
  check_avalanche<net::FlowKeyV6>(37);
}

}  // namespace
}  // namespace millrace::nat
