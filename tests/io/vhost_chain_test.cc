// Chains of descriptors that claim more than a packet has: what they cost the other ports in time and frames.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "tests/io/hostile_guest.h"
#include "tests/io/vhost_rig.h"
#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using datapath::kBurst;
using std::chrono::microseconds;
using std::chrono::steady_clock;

constexpr std::uint32_t kFrames = 16384, kDataRoom = 1600;
constexpr std::uint32_t kFramesOfPacket = 65'597 / kDataRoom + 1;  // net::kMaxPacketBytes
constexpr std::uint32_t kCached = 512;                             // of a worker's mempool cache, at most

/// The fewest frames that were free while it lived, seen from another thread.
class FreeWatch {
 public:
  explicit FreeWatch(const MbufPool& pool) : pool_(pool) {
    while (!is_looking_.load()) std::this_thread::yield();
  }
  unsigned fewest() {
    watcher_.request_stop();
    watcher_.join();
    return fewest_;
  }

 private:
  const MbufPool& pool_;
  unsigned fewest_ = ~0u;
  std::atomic<bool> is_looking_{false};
  std::jthread watcher_{[this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      fewest_ = std::min(fewest_, pool_.free_count());
      is_looking_ = true;
    }
  }};
};

class VhostChain : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(wait_for(*port_, true)); }
  /// One chain from all of the ring, which claims `bytes` of memory again and again.
  void chain_all(std::uint32_t bytes) {
    for (std::uint16_t i = 0; i < HostileGuest::kRingSize; ++i) {
      const bool is_last = i + 1 == HostileGuest::kRingSize;
      guest_.set_descriptor(1, i,
                            {HostileGuest::kBuffers, bytes, is_last ? std::uint16_t{0} : HostileGuest::kNext,
                             static_cast<std::uint16_t>(i + 1)});
    }
  }
  const Directory directory_;
  const std::unique_ptr<MbufPool> pool_ = make_pool(kFrames, kDataRoom);
  const std::unique_ptr<VhostPort> port_ = open_vhost(*pool_, directory_.path + "/pod.sock");
  HostileGuest guest_{directory_.path + "/pod.sock", HostileGuest::kSendsUnfinished};
};

TEST_F(VhostChain, ThatNeverEndsTakesNoMoreThanABurstOfLongPackets) {
  chain_all(0xb0000);
  std::array<net::Packet*, kBurst> burst;
  FreeWatch watch(*pool_);
  steady_clock::duration all{}, longest{};
  constexpr unsigned kTurns = 100;
  for (unsigned turn = 0; turn < kTurns; ++turn) {
    guest_.offer(1, {0}, 1);
    const auto begin = steady_clock::now();
    EXPECT_EQ(port_->receive(burst), 0u);
    longest = std::max(longest, steady_clock::now() - begin);
    all += steady_clock::now() - begin;
  }
  const unsigned fewest = watch.fewest();
  RecordProperty("microseconds_a_turn", static_cast<int>(all / microseconds(kTurns)));
  RecordProperty("microseconds_at_most", static_cast<int>(longest / microseconds(1)));
  RecordProperty("most_frames", static_cast<int>(kFrames - fewest));
  EXPECT_GE(fewest, kFrames - kBurst * kFramesOfPacket - kCached);
  EXPECT_EQ(port_->status().rx_refused, kTurns);
  EXPECT_EQ(pool_->free_count(), kFrames);
}

TEST_F(VhostChain, LongPacketsPassWhichFillABurst) {
  const Bytes frame = eth("02:00:00:00:00:03", "02:4d:52:00:00:01")
                          .ipv4("10.244.0.3", "10.244.0.4")
                          .tcp(1000, 80)
                          .partial_checksum()
                          .payload(65'000)
                          .bytes();
  const VirtioNetHeader header{VirtioNetHeader::kNeedsChecksum, VirtioNetHeader::kGsoTcp4, 54, 1400, 34, 16, 0};
  guest_.send(header, frame, 40'000);
  guest_.offer(1, std::vector<std::uint16_t>(kBurst - 1, 0), kBurst - 1);  // the same again
  std::array<net::Packet*, kBurst> burst;
  unsigned count = 0;
  const auto receive = [&] {
    const auto got = std::span(burst).first(port_->receive(burst));
    for (const net::Packet* packet : got) EXPECT_EQ(packet->length_bytes, frame.size());
    count += static_cast<unsigned>(got.size());
    pool_->release(got);
  };
  receive();
  EXPECT_EQ(count, 32u) << "DPDK's burst";
  ASSERT_TRUE(step_until(receive, [&] { return count == kBurst; }));
  EXPECT_EQ(port_->status().rx_refused, 0u);
  EXPECT_EQ(pool_->free_count(), kFrames);
}

}  // namespace
}  // namespace millrace::tests
