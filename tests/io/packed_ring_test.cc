/// Where a device stands in a packed ring: against a driver and a device that run, stop and are killed at random
/// places, and a QEMU that empties the ring meanwhile from another.
#include "datapath/io/packed_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace millrace::tests {
namespace {

using datapath::io::find_position;
using datapath::io::finish_rest;
using datapath::io::kPackedAvail;
using datapath::io::kPackedUsed;
using datapath::io::PackedDescriptor;
using datapath::io::PackedPlace;
using datapath::io::PackedPosition;

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

/// A ring with a driver that makes single descriptors available, and who uses them, as virtio 1.2, section 2.8, has
/// them. Places are counted from the ring's beginning, over all laps.
class Ring {
 public:
  explicit Ring(std::size_t size) : descriptors(size) {}

  PackedPlace place(std::uint64_t count) const {
    return {static_cast<std::uint16_t>(count % descriptors.size()), count / descriptors.size() % 2 == 0};
  }
  void make_available(std::size_t count) {
    for (; count > 0 && available_ - taken_back_ < descriptors.size(); --count, ++available_) {
      const PackedPlace at = place(available_);
      write(at, !at.wrap);
      descriptors[at.index].length_bytes = 1500;
    }
  }
  /// Up to `count`; killed before it has written the first when `is_killed`. How many it has used.
  std::size_t use(std::size_t count, bool is_killed = false) {
    const std::uint64_t first = device;
    for (; device - first < count && is_available(place(device)); ++device) {
      if (device != first) use_at(device);
    }
    if (device != first && !is_killed) use_at(first);
    return device - first;
  }
  /// QEMU, from where it thinks that the switch was.
  void drop(std::size_t count) {
    for (; count > 0 && is_available(qemu_); --count) {
      std::uint64_t at = available_ - 1;
      while (place(at) != qemu_) --at;
      use_at(at);
      qemu_ = place(at + 1);
    }
  }
  /// The driver takes back what was used.
  void take_back() {
    for (; taken_back_ < available_; ++taken_back_) {
      const PackedPlace at = place(taken_back_);
      const auto flags = descriptors[at.index].flags;
      if (((flags & kPackedAvail) != 0) != at.wrap || ((flags & kPackedUsed) != 0) != at.wrap) return;
    }
  }
  /// What there is to be found.
  PackedPosition position() const {
    const std::uint64_t first = first_unused();
    const std::uint64_t end = used_.empty() ? 0 : *used_.rbegin() + 1;
    return {place(first), static_cast<std::uint16_t>(end > first ? end - first : 0)};
  }
  /// Another switch goes on.
  void resume() {
    device = std::max(first_unused(), used_.empty() ? 0 : *used_.rbegin() + 1);
    for (std::uint64_t at = taken_back_; at < device; ++at) used_.insert(at);
  }
  std::uint64_t in_flight() const { return available_ - taken_back_; }

  std::vector<PackedDescriptor> descriptors;
  std::uint64_t device = 0;

 private:
  bool is_available(const PackedPlace& at) const {
    const auto flags = descriptors[at.index].flags;
    return ((flags & kPackedAvail) != 0) == at.wrap && ((flags & kPackedUsed) != 0) != at.wrap;
  }
  void write(const PackedPlace& at, bool used) {
    descriptors[at.index].flags = static_cast<std::uint16_t>((at.wrap ? kPackedAvail : 0) | (used ? kPackedUsed : 0));
  }
  void use_at(std::uint64_t at) {
    ASSERT_TRUE(taken_back_ <= at && at < available_);
    write(place(at), place(at).wrap);
    used_.insert(at);
  }
  std::uint64_t first_unused() const {
    std::uint64_t first = taken_back_;
    while (used_.contains(first)) ++first;
    return first;
  }

  std::uint64_t available_ = 0, taken_back_ = 0;
  std::set<std::uint64_t> used_;
  PackedPlace qemu_;
};

std::string shown(const PackedPosition& position) {
  return std::to_string(position.first.index) + (position.first.wrap ? "/1" : "/0") + " rest " +
         std::to_string(position.rest);
}

/// As the switch does it; the driver takes back all up to where it goes on.
void resume(Ring& ring, std::size_t& rests) {
  const auto found = find_position(ring.descriptors);
  ASSERT_TRUE(found) << "nothing, where it is " << shown(ring.position());
  ASSERT_EQ(*found, ring.position()) << shown(*found) << ", where it is " << shown(ring.position());
  if (found->rest != 0) ++rests;
  const PackedPlace next = finish_rest(ring.descriptors, *found);
  for (std::size_t i = 0; i < found->rest; ++i) {
    ASSERT_EQ(ring.descriptors[found->first.after(i, ring.descriptors.size()).index].length_bytes, 0u);
  }
  ring.resume();
  ASSERT_EQ(next, ring.place(ring.device));
}

TEST(PackedRing, ARingThatNobodyHasUsedBeginsAtItsStart) {
  Ring ring(256);
  EXPECT_EQ(find_position(ring.descriptors)->first.base(), 1u << 15);
  ring.make_available(256);
  EXPECT_EQ(find_position(ring.descriptors)->first.base(), 1u << 15);
}

/// One row: what befalls a switch before another goes on in its place.
struct Row {
  const char* name;
  bool is_killed;           // amid a burst
  std::size_t dropped;      // by QEMU
  std::size_t least_rests;  // of 5000 times
};

class ADevice : public testing::TestWithParam<Row> {};

TEST_P(ADevice, GoesOnWhereItWasLeft) {
  std::mt19937 random(1);
  for (const std::size_t size : {2u, 3u, 64u, 256u, 1024u}) {
    Ring ring(size);
    std::size_t rests = 0;
    for (int step = 0; step < 5000; ++step) {
      for (unsigned left = random() % 4; left > 0; --left) {
        ring.make_available(random() % (size + 1));
        ring.use(random() % 40);
        if (random() % 3 != 0) ring.take_back();
      }
      ring.make_available(random() % (size + 1));
      ring.use(1 + random() % 32, GetParam().is_killed);
      if (random() % 2 != 0) ring.take_back();
      ring.drop(GetParam().dropped);
      if (random() % 2 != 0) ring.take_back();
      ring.make_available(random() % (size + 1));
      resume(ring, rests);
      if (HasFatalFailure()) FAIL() << "size " << size << ", step " << step;
    }
    if (size >= 64) { EXPECT_GE(rests, GetParam().least_rests) << "size " << size; }
    ring.use(kAll);
    ring.take_back();
    EXPECT_EQ(ring.in_flight(), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(PackedRing, ADevice,
                         testing::Values(Row{"BetweenTwoBursts", false, 0, 0}, Row{"AmidABurst", true, 0, 3000},
                                         Row{"AndOneIsDroppedByQemu", false, 1, 100},
                                         Row{"AndAllAreDroppedByQemu", false, kAll, 100},
                                         Row{"AmidABurstAndQemuDropsAll", true, kAll, 3000}),
                         [](const auto& row) { return row.param.name; });

TEST(PackedRing, ARingThatNoDeviceLeavesIsRefused) {
  std::vector<PackedDescriptor> ring(64);
  EXPECT_FALSE(find_position(std::span(ring).first(0)));
  for (std::size_t i = 0; i < ring.size(); i += 2) ring[i].flags = kPackedUsed;
  EXPECT_FALSE(find_position(ring));
  std::vector<PackedDescriptor> never_available(256);
  for (const std::size_t used : {10u, 11u, 12u}) never_available[used].flags = kPackedUsed | kPackedAvail;
  EXPECT_FALSE(find_position(never_available));
}

}  // namespace
}  // namespace millrace::tests
