// What the receiving side makes of tags: loss, order, duplicates, damage, latency.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <set>
#include <vector>

#include "perf/gen/measure/histogram.h"
#include "perf/gen/measure/sequence_window.h"
#include "perf/gen/measure/stream_meter.h"
#include "perf/gen/stream/random.h"

namespace millrace::perf::gen {
namespace {

TEST(Histogram, PercentilesAreWithinTheStatedError) {
  Random random(7);
  Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 200'000; ++i) {
    const std::uint64_t value = random.next() >> (24 + random.next() % 40);  // every magnitude up to 2^40
    values.push_back(value);
    histogram.add(value);
  }
  std::ranges::sort(values);
  for (const double percent : {0.0, 0.1, 1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const auto rank = std::max(1.0, std::ceil(percent / 100 * static_cast<double>(values.size())));
    const auto exact = static_cast<double>(values[static_cast<std::size_t>(rank) - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.percentile(percent)), exact, exact * Histogram::kMostRelativeError + 0.5)
        << percent;
  }
  EXPECT_EQ(histogram.least(), values.front());
  EXPECT_EQ(histogram.most(), values.back());
}

TEST(Histogram, BucketsTouchAndHoldTheirValues) {
  for (std::uint32_t bucket = 0; bucket < 4000; ++bucket) {
    const std::uint64_t least = Histogram::least_of(bucket), next = Histogram::least_of(bucket + 1);
    EXPECT_EQ(Histogram::bucket_of(least), bucket);
    EXPECT_EQ(Histogram::bucket_of(next - 1), bucket);
    EXPECT_LE(static_cast<double>(next - least - 1), std::max(0.0, static_cast<double>(least) / 128));
  }
}

TEST(Histogram, MergedIsAsIfAllHadBeenAddedToOne) {
  Histogram one, two, all;
  for (std::uint64_t i = 1; i < 100'000; i += 7) {
    (i % 2 == 0 ? one : two).add(i * i);
    all.add(i * i);
  }
  one.merge(two);
  EXPECT_EQ(one.count(), all.count());
  EXPECT_EQ(one.percentile(73), all.percentile(73));
  EXPECT_DOUBLE_EQ(one.mean(), all.mean());
  one.clear();
  EXPECT_EQ(one.count(), 0u);
  EXPECT_EQ(one.percentile(50), 0u);
}

TEST(Histogram, WhatIsBeyondItsRangeCountsAsTheLast) {
  Histogram histogram;
  histogram.add(~std::uint64_t{0});
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_EQ(histogram.buckets().size(), 1u);
}

using Arrival = SequenceWindow::Arrival;

TEST(SequenceWindow, TellsOrderReorderingDuplicatesAndLateOnes) {
  SequenceWindow window;
  EXPECT_EQ(window.take(0), Arrival::kInOrder);
  EXPECT_EQ(window.take(3), Arrival::kInOrder);
  EXPECT_EQ(window.take(1), Arrival::kReordered);
  EXPECT_EQ(window.take(1), Arrival::kDuplicate);
  EXPECT_EQ(window.take(3), Arrival::kDuplicate);
  EXPECT_EQ(window.take(2), Arrival::kReordered);
  EXPECT_EQ(window.most_extent(), 2u);
  EXPECT_EQ(window.take(100'000), Arrival::kInOrder);
  EXPECT_EQ(window.take(4), Arrival::kLate);
  EXPECT_EQ(window.take(100'000 - SequenceWindow::kPackets + 1), Arrival::kReordered);
}

/// The window against a set of all numbers, over packets delayed, lost and doubled at random, across the wrap of 32
/// bits.
TEST(SequenceWindow, AgreesWithASetOfAllThatCame) {
  Random random(11);
  SequenceWindow window;
  std::set<std::uint64_t> came;
  std::uint64_t highest = 0;
  bool any = false;
  std::uint64_t number = 0;
  const auto deliver = [&](std::uint64_t packet) {
    const Arrival arrival = window.take(static_cast<std::uint32_t>(packet));
    const bool fresh = came.insert(packet).second;
    if (!any || packet > highest) {
      EXPECT_EQ(arrival, Arrival::kInOrder) << packet;
      highest = packet;
      any = true;
    } else {
      EXPECT_EQ(arrival, fresh ? Arrival::kReordered : Arrival::kDuplicate) << packet;
    }
  };
  deliver(0);
  for (std::uint64_t jump = 0; jump < 5; ++jump) {  // 1 << 30 five times: past 2^32
    number += 1u << 30;
    std::deque<std::uint64_t> held;
    for (int i = 0; i < 20'000; ++i, ++number) {
      const std::uint64_t dice = random.next() % 100;
      if (dice < 2) continue;
      if (dice < 10) {
        held.push_back(number);
        continue;
      }
      deliver(number);
      if (dice < 15) deliver(number);
      if (dice < 30 && !held.empty()) {
        deliver(held.front());
        held.pop_front();
      }
    }
    for (const std::uint64_t late : held) {
      if (highest - late < SequenceWindow::kPackets) deliver(late);
    }
    if (HasFailure()) return;
  }
}

TEST(StreamMeter, LossIsWhatIsMissingHoweverMuchIsDoubled) {
  StreamMeter meter;
  for (std::uint32_t i = 0; i < 100; ++i) {
    if (i % 10 == 3) continue;
    meter.take({.sequence = i, .time_ns = 1000 * i}, 64, 1000 * i + 500);
    if (i % 10 == 5) meter.take({.sequence = i, .time_ns = 1000 * i}, 64, 1000 * i + 900);
  }
  EXPECT_EQ(meter.counts().received, 90u);
  EXPECT_EQ(meter.counts().duplicates, 10u);
  EXPECT_EQ(meter.counts().bytes, 90u * 64);
  EXPECT_EQ(meter.latency().count(), 90u) << "a duplicate has no latency";
  EXPECT_EQ(meter.latency().most(), 500u);
}

TEST(StreamMeter, TimeOfTheWireWrapsAround) {
  StreamMeter meter;
  const std::uint64_t now = (1ull << 48) + 200;
  EXPECT_EQ(meter.take({.sequence = 0, .time_ns = (1ull << 48) - 100}, 64, now), 300u);
}

TEST(Tag, AnyDamageToWhatItCoversIsSeen) {
  std::vector<std::uint8_t> frame(200, 0x5a);
  const std::uint16_t covered = 150;
  const net::Sum fill = net::sum_bytes({frame.data() + 50, 150 - Tag::kBytes});
  write_tag(frame.data() + frame.size(), {.epoch = 1, .stream = 2, .sequence = 3, .time_ns = 4}, covered, fill);
  Tag tag;
  ASSERT_EQ(read_tag(frame, tag), TagFound::kRight);
  for (std::size_t byte = 0; byte < frame.size(); ++byte) {
    for (const int bit : {0, 3, 7}) {
      auto damaged = frame;
      damaged[byte] = static_cast<std::uint8_t>(damaged[byte] ^ 1 << bit);
      const TagFound found = read_tag(damaged, tag);
      if (byte < 50) {
        EXPECT_EQ(found, TagFound::kRight) << "headers are the switch's to change";
      } else if (byte == 182 || byte == 183) {
        EXPECT_EQ(found, TagFound::kNone) << "no signature, no tag";
      } else {
        EXPECT_EQ(found, TagFound::kDamaged) << byte;
      }
    }
  }
}

}  // namespace
}  // namespace millrace::perf::gen
