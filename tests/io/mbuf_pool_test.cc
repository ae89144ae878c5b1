// The packet pool: shape of packets and frames, exhaustion, threads.
#include "datapath/io/mbuf_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "datapath/port.h"
#include "tests/io/test_pool.h"

namespace millrace::datapath::io {
namespace {

using net::Packet;
using tests::make_pool;

TEST(MbufPool, GivesPacketsThatAreEmptyAndHaveRoomOnBothSides) {
  const auto pool = make_pool(512);
  Packet* packet = pool->allocate();
  ASSERT_NE(packet, nullptr);
  packet->data += 14;
  packet->head_bytes = packet->length_bytes = 60;
  packet->in_port = 3;
  packet->offload.checksum_partial = true;
  packet->headers.l4_protocol = 17;
  packet->drop = net::Drop::kNoRoute;
  packet->is_reply = packet->checksum_is_known = true;
  pool->release({&packet, 1});

  std::vector<Packet*> all;
  while (Packet* next = pool->allocate()) all.push_back(next);
  EXPECT_EQ(all.size(), 512u);
  for (const Packet* each : all) {
    EXPECT_EQ(each->head_bytes, 0u);
    EXPECT_EQ(each->length_bytes, 0u);
    EXPECT_EQ(each->in_port, net::kNoPort);
    EXPECT_EQ(each->drop, net::Drop::kNone);
    EXPECT_FALSE(each->is_reply || each->checksum_is_known);
    EXPECT_FALSE(each->offload.checksum_partial);
    EXPECT_EQ(each->headers.l4_protocol, 0);
    EXPECT_GE(each->headroom_bytes(), kHeadroomBytes);
    EXPECT_GE(each->tailroom_bytes(), 1600u);
  }
  pool->release(all);
  EXPECT_EQ(pool->free_count(), 512u);
}

struct Layout {
  std::uint32_t data_room_bytes;
  std::uint32_t stride_bytes;
};

class MbufPoolLayout : public testing::TestWithParam<Layout> {};

TEST_P(MbufPoolLayout, FramesLieAtOneOddStrideInsideTheRegion) {
  const auto pool = make_pool(700, GetParam().data_room_bytes);
  EXPECT_EQ(pool->frame_stride_bytes(), GetParam().stride_bytes);
  EXPECT_EQ(pool->frame_stride_bytes() / 64 % 2, 1u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pool->region()) % 4096, 0u);

  std::vector<Packet*> all(700);
  ASSERT_TRUE(pool->allocate_bulk(all));
  std::set<std::uint32_t> numbers;
  for (Packet* packet : all) {
    const std::uint64_t offset = pool->offset_of(packet);
    EXPECT_EQ(offset % pool->frame_stride_bytes(), 0u);
    EXPECT_EQ(pool->packet_at(offset), packet);
    const std::uint32_t number = pool->index_of(offset);
    EXPECT_EQ(pool->offset_at(number), offset);
    numbers.insert(number);
    // The kernel writes 256 bytes behind the frame headroom, at most up to the frame's end.
    auto* frame = reinterpret_cast<std::uint8_t*>(pool->region()) + offset;
    EXPECT_EQ(packet->data, frame + pool->frame_headroom_bytes() + 256);
    EXPECT_LE(packet->buffer + packet->capacity_bytes, frame + pool->frame_stride_bytes());
    EXPECT_LE(offset + pool->frame_stride_bytes(), pool->region_bytes());
  }
  EXPECT_EQ(numbers.size(), 700u);
  EXPECT_EQ(*numbers.rbegin(), 699u);
  pool->release(all);
}

INSTANTIATE_TEST_SUITE_P(DataRooms, MbufPoolLayout,
                         testing::Values(Layout{64, 33 * 64}, Layout{1514, 33 * 64}, Layout{1600, 35 * 64},
                                         Layout{3000, 57 * 64}, Layout{kMaxDataRoomBytes, 63 * 64}));

TEST(MbufPool, BulkIsAllOrNothing) {
  const auto pool = make_pool(256);
  std::vector<Packet*> some(200), more(57);
  ASSERT_TRUE(pool->allocate_bulk(some));
  EXPECT_FALSE(pool->allocate_bulk(more));
  EXPECT_EQ(pool->free_count(), 56u);
  EXPECT_TRUE(pool->allocate_bulk(std::span(more).first(56)));
  EXPECT_EQ(pool->allocate(), nullptr);
  pool->release(some);
  pool->release(std::span(more).first(56));
  EXPECT_EQ(pool->free_count(), 256u);
}

struct Refusal {
  const char* name;
  MbufPoolOptions options;
  net::ErrorCode code;
  const char* says;
};

TEST(MbufPool, RefusesWhatCannotBeAndSaysWhatCan) {
  tests::start_eal_once();
  const Refusal table[] = {
      {"a frame larger than a page",
       {.count = 1024, .data_room_bytes = 9000, .numa_node = -1},
       net::ErrorCode::kInvalidArgument,
       "data room of 9000 bytes: 64 to 3456 are possible"},
      {"no room at all",
       {.count = 1024, .data_room_bytes = 0, .numa_node = -1},
       net::ErrorCode::kInvalidArgument,
       "data room of 0 bytes"},
      {"hardly a packet",
       {.count = 10, .data_room_bytes = 1600, .numa_node = -1},
       net::ErrorCode::kInvalidArgument,
       "pool of 10 packets: at least 128"},
      {"more than there is",
       {.count = 4'000'000, .data_room_bytes = 1600, .numa_node = -1},
       net::ErrorCode::kResourceExhausted,
       "no memory for 4000000 packets"},
  };
  for (const Refusal& row : table) {
    const auto pool = MbufPool::create(row.options);
    ASSERT_FALSE(pool.ok()) << row.name;
    EXPECT_EQ(pool.error().code, row.code) << row.name;
    EXPECT_NE(pool.error().message.find(row.says), std::string::npos) << row.name << ": " << pool.error().message;
  }
}

TEST(MbufPool, LosesAndDoublesNothingBetweenThreads) {
  const auto pool = make_pool(4096);
  std::vector<std::thread> threads;
  std::atomic<unsigned> doubled{0};
  for (unsigned id = 1; id <= 3; ++id) {
    threads.emplace_back([&, id] {
      const EalThread eal;
      std::mt19937 random(id);
      std::vector<Packet*> mine;
      for (int turn = 0; turn < 20'000; ++turn) {
        std::array<Packet*, kBurst> burst;
        const std::size_t n = 1 + random() % kBurst;
        if (mine.size() < 1000 && pool->allocate_bulk(std::span(burst).first(n))) {
          for (Packet* packet : std::span(burst).first(n)) {
            if (packet->in_port != net::kNoPort) doubled.fetch_add(1);
            packet->in_port = static_cast<net::PortId>(id);
            mine.push_back(packet);
          }
        }
        const std::size_t back = std::min<std::size_t>(mine.size(), random() % kBurst);
        const std::span<Packet*> leaving = std::span(mine).last(back);
        for (Packet* packet : leaving) {
          if (packet->in_port != id) doubled.fetch_add(1);
        }
        pool->release(leaving);
        mine.resize(mine.size() - back);
      }
      pool->release(mine);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(doubled.load(), 0u);
  EXPECT_EQ(pool->free_count(), 4096u);
}

}  // namespace
}  // namespace millrace::datapath::io
