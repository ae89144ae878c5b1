// Guests whose rings would not be all in the memory that they lent: a worker would read and write behind it.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>

#include "tests/io/hostile_guest.h"
#include "tests/io/raw_guest.h"
#include "tests/io/vhost_rig.h"

namespace millrace::tests {
namespace {

class VhostBounds : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(wait_for(*port_, true)); }
  void expect_served() {
    const Frame frame = numbered_frame(1, 100);
    guest_.send({}, frame, 1 << 16);
    EXPECT_EQ(next_frame(*pool_, *port_), frame);
  }
  const Directory directory_;
  const std::unique_ptr<MbufPool> pool_ = make_pool(4096);
  const std::unique_ptr<VhostPort> port_ = open_vhost(*pool_, directory_.path + "/pod.sock");
  HostileGuest guest_{directory_.path + "/pod.sock"};
};

TEST_F(VhostBounds, ARingKeepsItsSizeWhileItHasAPlace) {
  std::uint64_t refusals = 0;
  for (const std::uint32_t size : {0u, 1u, 255u, 512u, 32'768u, 65'536u, ~0u}) {
    EXPECT_FALSE(guest_.size_ring(1, size)) << size;
    EXPECT_EQ(port_->status().refusals, ++refusals);
    expect_served();
  }
}

TEST_F(VhostBounds, ARingThatWasStoppedHasNoSize) {
  guest_.stop(1);
  EXPECT_FALSE(guest_.name_ring_again(1));
  EXPECT_FALSE(guest_.kick_by_new(1));
  for (const std::uint32_t size : {0u, 255u, 65'536u}) EXPECT_FALSE(guest_.size_ring(1, size)) << size;
  EXPECT_FALSE(guest_.name_ring_again(1));
  EXPECT_TRUE(guest_.start(1));
  ASSERT_TRUE(wait_for(*port_, true));
  expect_served();
}

TEST_F(VhostBounds, ARingIsAllInTheMemory) {
  constexpr std::uint64_t kEnd = HostileGuest::kMemoryBytes, kEntries = HostileGuest::kRingSize;
  guest_.stop(1);
  ASSERT_TRUE(guest_.size_ring(1, kEntries));
  EXPECT_FALSE(guest_.place_ring(1, 0, kEnd - 8 * kEntries, 0x8000)) << "what is used";
  EXPECT_FALSE(guest_.place_ring(1, 0, 0x9000, kEnd - 2 * kEntries)) << "what is available";
  EXPECT_FALSE(guest_.place_ring(1, kEnd - 16 * kEntries + 1, 0x9000, 0x8000)) << "descriptors";
  EXPECT_FALSE(guest_.place_ring(1, kEnd, 0x9000, 0x8000)) << "behind it";
  EXPECT_TRUE(guest_.place_ring(1, kEnd - 16 * kEntries, 0x9000, 0x8000));
}

TEST_F(VhostBounds, RingsOfAnotherKindNeedNewPlaces) {
  constexpr std::uint64_t kEventIndex = 1ull << 29;
  guest_.stop(0);
  for (const std::uint64_t features : {kEventIndex, HostileGuest::kPackedRings}) {
    EXPECT_FALSE(guest_.want(features)) << "ring 1 has one";
  }
  guest_.stop(1);
  EXPECT_TRUE(guest_.want(kEventIndex));
}

TEST_F(VhostBounds, APackedRingGoesOnWithinIt) {
  guest_.stop(0);
  guest_.stop(1);
  EXPECT_FALSE(guest_.want(1ull << 34)) << "without indirect descriptors";
  ASSERT_TRUE(guest_.want(HostileGuest::kPackedRings));
  ASSERT_TRUE(guest_.size_ring(1, HostileGuest::kRingSize));
  ASSERT_TRUE(guest_.go_on_at(1, HostileGuest::kRingSize)) << "it has no place yet";
  EXPECT_FALSE(guest_.place_ring(1, 0, 0x9000, 0x8000));
  ASSERT_TRUE(guest_.go_on_at(1, HostileGuest::kRingSize - 1u));
  EXPECT_TRUE(guest_.place_ring(1, 0, 0x9000, 0x8000));
  EXPECT_FALSE(guest_.go_on_at(1, HostileGuest::kRingSize));
}

TEST_F(VhostBounds, AllRingsOfAGuestHaveALimit) {
  const std::string path = directory_.path + "/other.sock";
  const auto port = open_vhost(*pool_, path);
  RawGuest guest(path);
  constexpr std::uint32_t kFlags = RawGuest::kVersion | RawGuest::kNeedsReply;
  const auto size = [&](std::uint32_t ring, std::uint32_t entries) {
    return guest.send({RawGuest::kSetVringNum, kFlags, 8}, {ring, entries}) && guest.answer() == 0;
  };
  for (std::uint32_t ring = 0; ring < 128; ++ring) ASSERT_TRUE(size(ring, 1024)) << "64 pairs of QEMU's: ring " << ring;
  EXPECT_FALSE(size(128, 1));
  expect_served();
}

/// DPDK would forget it with the ring: 1.5 MB each time, of what all guests share.
TEST_F(VhostBounds, WhatARingTakesIsNotForgottenWithIt) {
  const std::string path = directory_.path + "/other.sock";
  const auto port = open_vhost(*pool_, path);
  RawGuest guest(path);
  constexpr std::uint32_t kResetOwner = 4, kFlags = RawGuest::kVersion | RawGuest::kNeedsReply;
  for (int i = 0; i < 400; ++i) {
    ASSERT_TRUE(guest.send({RawGuest::kSetVringNum, kFlags, 8}, {0, 32'768}));
    ASSERT_EQ(guest.answer(), 0u) << i;
    ASSERT_TRUE(guest.send({kResetOwner, kFlags, 0}));
    ASSERT_EQ(guest.answer(), 0u) << i;
  }
}

}  // namespace
}  // namespace millrace::tests
