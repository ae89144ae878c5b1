// Guests that VhostPort must not trust: made by hand (hostile_guest.h), next to honest ones.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include "datapath/io/eal.h"
#include "tests/io/hostile_guest.h"
#include "tests/io/vhost_rig.h"

namespace millrace::tests {
namespace {

using datapath::kBurst;
using datapath::io::EalThread;

/// One lie, and whether it is told of what the guest sends or of the buffers that it receives by.
struct Lie {
  const char* name;
  std::vector<VringDescriptor> descriptors;
  std::vector<std::uint16_t> heads = {0};
  std::uint16_t count = 1;
};

std::vector<Lie> lies(std::uint16_t writes) {
  constexpr std::uint64_t kBuffer = HostileGuest::kBuffers;
  constexpr std::uint16_t kNext = HostileGuest::kNext;
  const auto chained = static_cast<std::uint16_t>(kNext | writes);
  return {
      {"memory that is not there", {{1ull << 40, 100, writes, 0}}},
      {"beyond the end of memory", {{HostileGuest::kMemoryBytes - 10, 100, writes, 0}}},
      {"an address that wraps around", {{~0ull - 5, 100, writes, 0}}},
      {"4 GiB", {{kBuffer, 0xffffffffu, writes, 0}}},
      {"no bytes", {{kBuffer, 0, writes, 0}}},
      {"less than a header", {{kBuffer, 3, writes, 0}}},
      {"a header and nothing else", {{kBuffer, 12, writes, 0}}},
      {"a chain that is a ring", {{kBuffer, 64, chained, 1}, {kBuffer, 64, chained, 0}}},
      {"a chain that leaves the table", {{kBuffer, 64, chained, 60'000}}},
      {"a head outside of the table", {{kBuffer, 100, writes, 0}}, {60'000}},
      {"a table that was not agreed on", {{kBuffer, 160, HostileGuest::kIndirect, 0}}},
      {"more than the ring has", {{kBuffer, 100, writes, 0}}, {0}, 60'000},
      {"the other direction's", {{kBuffer, 100, static_cast<std::uint16_t>(writes ^ HostileGuest::kWrite), 0}}},
      {"the switch's own rings as a buffer", {{0x1000, 0x20000, writes, 0}}},
  };
}

/// A worker's turns with it: they end, and no frame stays behind.
void poll_for_a_while(MbufPool& pool, VhostPort& port) {
  std::array<net::Packet*, kBurst> burst;
  for (int turn = 0; turn < 300; ++turn) {
    const unsigned count = port.receive(burst);
    pool.release(std::span(burst).first(count));
    static_cast<void>(send(pool, port, numbered_frame(1, 1000)));
  }
}

TEST(VhostGuest, OneThatTellsTheTruthIsHeard) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  const auto port = open_vhost(*pool, path);
  HostileGuest guest(path);
  ASSERT_TRUE(wait_for(*port, true));
  constexpr std::uint32_t kHeader = 12, kFrame = 100;
  guest.set_descriptor(1, 0, {HostileGuest::kBuffers, kHeader + kFrame, 0, 0});
  guest.set_descriptor(0, 0, {HostileGuest::kBuffers + 0x1000, 2048, HostileGuest::kWrite, 0});
  guest.offer(1, {0}, 1);
  EXPECT_EQ(next_frame(*pool, *port).size(), kFrame);
  EXPECT_FALSE(send(*pool, *port, numbered_frame(1, kFrame))) << "no buffer was offered";
  guest.offer(0, {0}, 1);
  EXPECT_TRUE(send(*pool, *port, numbered_frame(1, kFrame)));
}

TEST(VhostGuest, WhatFitsNoFrameIsCountedAndDropped) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  const auto port = open_vhost(*pool, path);
  HostileGuest guest(path);
  ASSERT_TRUE(wait_for(*port, true));
  guest.set_descriptor(1, 0, {HostileGuest::kBuffers, 12 + 9000, 0, 0});
  guest.offer(1, {0}, 1);
  EXPECT_TRUE(next_frame(*pool, *port).empty());
  EXPECT_EQ(port->status().rx_refused, 1u);
  EXPECT_EQ(pool->free_count(), 4096u);
}

TEST(VhostGuest, OneThatLiesHarmsItselfAlone) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  const auto port = open_vhost(*pool, path);
  for (const unsigned ring : {0u, 1u}) {
    for (const Lie& lie : lies(ring == 0 ? HostileGuest::kWrite : std::uint16_t{0})) {
      {
        HostileGuest guest(path);
        ASSERT_TRUE(wait_for(*port, true)) << lie.name;
        for (unsigned i = 0; i < lie.descriptors.size(); ++i) guest.set_descriptor(ring, i, lie.descriptors[i]);
        guest.offer(ring, lie.heads, lie.count);
        poll_for_a_while(*pool, *port);
      }
      ASSERT_TRUE(wait_for(*port, false)) << lie.name;
      EXPECT_EQ(pool->free_count(), 4096u) << lie.name;
    }
  }
  const Guest honest("path=" + path);
  ASSERT_TRUE(wait_for(*port, true));
  expect_echo(*pool, *port);
}

/// False: somebody kept it waiting, and it went on when the guest took its calls.
bool ends_by_itself(HostileGuest& guest, const std::function<void()>& act) {
  constexpr auto kLimit = std::chrono::seconds(5);
  auto done = std::async(std::launch::async, act);
  const bool is_in_time = done.wait_for(kLimit) == std::future_status::ready;
  if (!is_in_time) guest.take_calls();
  done.get();
  return is_in_time;
}

TEST(VhostGuest, OneThatTakesNoCallsKeepsNobody) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  const auto port = open_vhost(*pool, path);
  constexpr std::size_t kFrame = 100;
  // Whole buffers are GuestRings' to serve, and call, and cut ones DPDK's.
  for (const std::uint64_t features : {std::uint64_t{0}, HostileGuest::kEventIndex}) {
    for (const std::uint32_t descriptor_bytes : {1u << 16, 64u}) {
      {
        HostileGuest guest(path, features);
        ASSERT_TRUE(wait_for(*port, true));
        guest.take_calls();
        const auto exchange = [&] {
          const EalThread thread;
          for (const unsigned ring : {0u, 1u}) guest.want_call(ring);
          guest.send({}, numbered_frame(1, kFrame), descriptor_bytes);
          EXPECT_EQ(next_frame(*pool, *port), numbered_frame(1, kFrame));
          guest.make_room(2048, descriptor_bytes);
          EXPECT_TRUE(send(*pool, *port, numbered_frame(1, kFrame)));
        };
        exchange();
        EXPECT_TRUE(guest.take_calls()) << "it is called for what it takes and sends";
        for (int i = 0; i < 3; ++i) {
          guest.take_no_calls();
          EXPECT_TRUE(ends_by_itself(guest, exchange)) << "features " << features << ", " << descriptor_bytes;
        }
      }
      ASSERT_TRUE(wait_for(*port, false));
    }
  }
}

TEST(VhostGuest, OneThatTakesNoCallWhenItsRingStartsKeepsNobody) {
  const Directory directory;
  const auto pool = make_pool(4096);
  const auto port = open_vhost(*pool, directory.path + "/pod.sock");
  const auto other_port = open_vhost(*pool, directory.path + "/other.sock");
  HostileGuest guest(directory.path + "/pod.sock");
  ASSERT_TRUE(wait_for(*port, true));
  guest.stop(1);
  EXPECT_TRUE(guest.start_without_calls(1));
  const HostileGuest other(directory.path + "/other.sock");
  EXPECT_TRUE(wait_for(*other_port, true)) << "DPDK's thread, which calls when a ring starts, serves the others";
  guest.take_calls();  // else it would not end here either
}

TEST(VhostGuest, OneIsCalledByAnEventfdAlone) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  const auto port = open_vhost(*pool, path);
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  HostileGuest guest(path);
  ASSERT_TRUE(wait_for(*port, true));
  EXPECT_FALSE(guest.be_called_by(1, ends[1]));
  const Frame frame = numbered_frame(1, 100);
  guest.send({}, frame, 1 << 16);
  EXPECT_EQ(next_frame(*pool, *port), frame) << "it is called as before";
  ASSERT_EQ(::fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
  std::uint64_t call = 0;
  EXPECT_LT(::read(ends[0], &call, sizeof call), 0) << "nothing was written to it";
  for (const int end : ends) ::close(end);
}

TEST(VhostGuest, ASecondOneIsRefused) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  const auto port = open_vhost(*pool, path);
  const Guest guest("path=" + path);
  ASSERT_TRUE(wait_for(*port, true));
  const int second = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::connect(second, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  char byte = 0;
  EXPECT_EQ(::recv(second, &byte, 1, 0), 0) << "the switch closes it";
  ::close(second);
  expect_echo(*pool, *port);
}

TEST(VhostGuest, MessagesThatAreNoneHarmNobody) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  const auto port = open_vhost(*pool, path);
  for (unsigned seed = 0; seed < 64; ++seed) {
    const int guest = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::connect(guest, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    // A header as vhost-user has it (request, flags of version 1, size), then what fits it or does not.
    std::array<std::uint32_t, 64> message;
    for (std::size_t i = 0; i < message.size(); ++i)
      message[i] = seed * 2654435761u + static_cast<std::uint32_t>(i) * 40503u;
    message[0] = seed % 48;
    message[1] = 1;
    message[2] = seed % 3 == 0 ? 0xffffffffu : seed * 4;
    static_cast<void>(::send(guest, message.data(), sizeof message, MSG_NOSIGNAL));
    ::close(guest);
  }
  ASSERT_TRUE(wait_for(*port, false));
  const Guest guest("path=" + path);
  ASSERT_TRUE(wait_for(*port, true));
  expect_echo(*pool, *port);
}

}  // namespace
}  // namespace millrace::tests
