// VhostPort with a guest in another process: DPDK's testpmd on virtio-user, which sends back what it gets.
#include "datapath/io/vhost_port.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/io/vhost_rig.h"

namespace millrace::tests {
namespace {

using datapath::kBurst;
using datapath::io::EalThread;

struct Rings {
  const char* name;
  const char* device;  // arguments of the guest's
  unsigned queues;
  bool is_packed;
};

class VhostRings : public testing::TestWithParam<Rings> {};

TEST_P(VhostRings, CarryFramesOfEveryLengthUnchanged) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  {
    const auto port = open_vhost(*pool, path);
    const Guest guest("path=" + path + GetParam().device, GetParam().queues);
    ASSERT_TRUE(wait_for(*port, true, GetParam().queues));
    EXPECT_EQ(port->status().is_packed, GetParam().is_packed);
    expect_echo(*pool, *port);
  }
  EXPECT_EQ(pool->free_count(), 4096u);
  EXPECT_FALSE(std::filesystem::exists(path)) << "the socket goes with the port";
}

INSTANTIATE_TEST_SUITE_P(Table, VhostRings,
                         testing::Values(Rings{"Split", "", 1, false}, Rings{"Packed", ",packed_vq=1", 1, true},
                                         Rings{"OneBufferAPacket", ",mrg_rxbuf=0", 1, false},
                                         Rings{"InOrder", ",in_order=1", 1, false}, Rings{"FourQueues", "", 4, false},
                                         Rings{"TwoQueuesPacked", ",packed_vq=1", 2, true}),
                         [](const auto& row) { return std::string(row.param.name); });

bool is_readable(const VhostPort& port, int timeout_ms) {
  pollfd asked{port.wait_fd(), POLLIN, 0};
  return ::poll(&asked, 1, timeout_ms) == 1;
}

/// As a worker does that has nothing to do.
void turn_idle(MbufPool& pool, VhostPort& port) {
  while (port.pending() || is_readable(port, 0)) next_frame(pool, port);
}

class VhostRest : public testing::TestWithParam<Rings> {};

TEST_P(VhostRest, AGuestKicksWhoWaitsForIt) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  const auto port = open_vhost(*pool, path);
  turn_idle(*pool, *port);  // with nobody there
  const Guest guest("path=" + path + GetParam().device, GetParam().queues);
  EXPECT_TRUE(is_readable(*port, 20'000)) << "that it came is told";
  ASSERT_TRUE(wait_for(*port, true, GetParam().queues));
  EXPECT_TRUE(port->pending()) << "it is not known yet whether it kicks";
  ASSERT_TRUE(answers(*pool, *port));
  constexpr std::uint32_t kFirst = 1000;
  for (std::uint32_t round = 0; round < 20; ++round) {
    turn_idle(*pool, *port);
    ASSERT_TRUE(send(*pool, *port, numbered_frame(kFirst + round, 100)));
    Frame back;
    while (back.empty() || number_of(back) == kProbe) {  // probes may be under way still
      if (back.empty()) { ASSERT_TRUE(is_readable(*port, 5'000)) << "round " << round; }
      back = next_frame(*pool, *port);
    }
    EXPECT_EQ(back, numbered_frame(kFirst + round, 100));
  }
}

INSTANTIATE_TEST_SUITE_P(Table, VhostRest,
                         testing::Values(Rings{"Split", "", 1, false}, Rings{"Packed", ",packed_vq=1", 1, true},
                                         Rings{"FourQueues", "", 4, false}),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(VhostPort, ServesNoMoreQueuesThanItWasToldTo) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  auto port = VhostPort::open(*pool, {.path = path, .queue_pairs = 2});
  ASSERT_TRUE(port.ok()) << port.error().message;
  const Guest guest("path=" + path, 4);
  ASSERT_TRUE(wait_for(**port, true, 2));
  expect_echo(*pool, **port);
  EXPECT_EQ((*port)->status().queue_pairs, 2u) << "all of the guest's are up by now";
}

TEST(VhostPort, SaysHowManyQueuesThereCanBe) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  for (const unsigned queue_pairs : {0u, 65u}) {
    const auto refused = VhostPort::open(*pool, {.path = path, .queue_pairs = queue_pairs});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, net::ErrorCode::kInvalidArgument);
    EXPECT_NE(refused.error().message.find("queue pairs; allowed: 1..64"), std::string::npos);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(VhostPort, AGuestThatIsKilledComesBack) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  const auto port = open_vhost(*pool, path);
  for (int round = 0; round < 3; ++round) {
    Guest guest("path=" + path);
    ASSERT_TRUE(wait_for(*port, true));
    expect_echo(*pool, *port);
    guest.kill();
    ASSERT_TRUE(wait_for(*port, false)) << "its rings are let go";
    net::Packet* packet = pool->allocate();
    write_frame(*packet, numbered_frame(1, 64));
    EXPECT_EQ(port->transmit({&packet, 1}), 0u) << "nobody takes it: the caller drops and counts it";
    pool->release({&packet, 1});
  }
  EXPECT_EQ(pool->free_count(), 4096u);
}

TEST(VhostPort, AsAClientItWaitsForTheGuestAndConnectsAgain) {
  const Directory directory;
  const std::string path = directory.path + "/guest.sock";
  const auto pool = make_pool(4096);
  const auto port = open_vhost(*pool, path, true);
  EXPECT_FALSE(port->status().is_connected) << "nobody listens yet";
  for (int round = 0; round < 2; ++round) {
    Guest guest("path=" + path + ",server=1");
    ASSERT_TRUE(wait_for(*port, true));
    expect_echo(*pool, *port);
    guest.kill();
    ASSERT_TRUE(wait_for(*port, false));
    std::filesystem::remove(path);  // what the guest left: its next start could not listen
  }
}

TEST(VhostPort, AGuestOutlivesThePort) {
  const Directory directory;
  const std::string path = directory.path + "/guest.sock";
  const auto pool = make_pool(4096);
  const Guest guest("path=" + path + ",server=1");
  for (int round = 0; round < 3; ++round) {
    const auto port = open_vhost(*pool, path, true);
    ASSERT_TRUE(wait_for(*port, true));
    expect_echo(*pool, *port);
  }
  EXPECT_EQ(pool->free_count(), 4096u);
}

TEST(VhostPort, AGuestGoesWhileAWorkerPolls) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(8192);
  const auto port = open_vhost(*pool, path);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> moved{0};
  std::thread worker([&] {
    const EalThread eal;
    std::array<net::Packet*, kBurst> burst;
    while (!stop) {
      unsigned count = port->receive(burst);
      moved += count;
      for (; count < 32; ++count) {  // what came goes back, with more, so that the rings are always busy
        if ((burst[count] = pool->allocate()) == nullptr) break;
        write_frame(*burst[count], numbered_frame(count, 200));
      }
      const unsigned taken = port->transmit(std::span(burst).first(count));
      pool->release(std::span(burst).subspan(taken, count - taken));
    }
  });
  for (int round = 0; round < 3; ++round) {
    Guest guest("path=" + path);
    const std::uint64_t before = moved;
    EXPECT_TRUE(wait_for(*port, true));
    EXPECT_TRUE(step_until(pause, [&] { return moved > before + 10'000; }));
    guest.kill();
    EXPECT_TRUE(wait_for(*port, false));
  }
  stop = true;
  worker.join();
  EXPECT_EQ(pool->free_count(), 8192u) << "no frame is lost with a guest";
}

TEST(VhostPort, SaysWhatIsWrong) {
  const Directory directory;
  const auto pool = make_pool(4096);
  const auto error_of = [&](const std::string& path) {
    auto opened = VhostPort::open(*pool, {.path = path});
    return opened ? std::string() : opened.error().message;
  };
  EXPECT_NE(error_of("relative.sock").find("an absolute path of at most 107 bytes"), std::string::npos);
  EXPECT_NE(error_of("/" + std::string(107, 'x')).find("at most 107 bytes"), std::string::npos);
  EXPECT_NE(error_of(directory.path).find("is there and is no socket"), std::string::npos);
  EXPECT_NE(error_of(directory.path + "/none/pod.sock").find("/none/pod.sock: "), std::string::npos);
  const std::string path = directory.path + "/pod.sock";
  auto port = open_vhost(*pool, path);
  EXPECT_NE(error_of(path).find("another port has it"), std::string::npos);
  port.reset();
  port = open_vhost(*pool, path);
}

/// Neither is what DPDK would say, which is nothing, and to a guest instead of to us.
TEST(VhostPort, WhatDpdkCannotWatchIsRefused) {
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 8192);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  const Directory directory;
  const auto pool = make_pool(512);
  const auto open = [&](unsigned number, bool is_client) {
    return VhostPort::open(*pool, {.path = directory.path + "/" + std::to_string(number), .is_client = is_client});
  };
  std::vector<std::unique_ptr<VhostPort>> ports;
  for (unsigned number = 0; number < 511; ++number) {
    auto port = open(number, false);
    ASSERT_TRUE(port.ok()) << number << ": " << port.error().message;
    ports.push_back(*std::move(port));
  }
  const auto refused = open(511, false);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, net::ErrorCode::kResourceExhausted);
  EXPECT_NE(refused.error().message.find("1022 descriptors are in use of 1023"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(directory.path + "/511"));
  auto last = open(512, true);
  ASSERT_TRUE(last.ok()) << last.error().message;
  EXPECT_FALSE(open(513, true).ok());
  ports.pop_back();
  EXPECT_TRUE(open(514, false).ok()) << "what a port had is free with it";
}

TEST(VhostPort, ListensWhereAKilledSwitchDid) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const int old = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(old, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(old);
  const auto pool = make_pool(4096);
  const auto port = open_vhost(*pool, path);
  const Guest guest("path=" + path);
  ASSERT_TRUE(wait_for(*port, true));
}

}  // namespace
}  // namespace millrace::tests
