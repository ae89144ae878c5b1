// Guests that take back the memory that they lent to the switch: whoever touches it then gets SIGBUS.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "datapath/io/eal.h"
#include "tests/io/hostile_guest.h"
#include "tests/io/vhost_rig.h"

namespace millrace::tests {
namespace {

using datapath::kBurst;

constexpr std::uint32_t kFrames = 4096, kFrameBytes = 200;
constexpr std::uint32_t kWhole = 1 << 16, kChained = 64;  // bytes of a descriptor: GuestRings serves it, DPDK does

std::size_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

/// A thief's port and a bystander's, served by one worker: the test.
class VhostMemory : public testing::Test {
 protected:
  std::unique_ptr<HostileGuest> connect(std::uint64_t features = 0) {
    auto guest = std::make_unique<HostileGuest>(path_, features);
    EXPECT_TRUE(wait_for(*port_, true));
    return guest;
  }
  void turn() {
    std::array<net::Packet*, kBurst> burst;
    pool_->release(std::span(burst).first(port_->receive(burst)));
    static_cast<void>(send(*pool_, *port_, numbered_frame(1, kFrameBytes)));
  }
  static Frame frame() { return numbered_frame(1, kFrameBytes); }
  void expect_served(HostileGuest& guest, VhostPort& port) {
    guest.send({}, frame(), kWhole);
    EXPECT_EQ(next_frame(*pool_, port), frame());
    guest.make_room(2048);
    EXPECT_TRUE(send(*pool_, port, frame()));
    Frame received;
    guest.received(received, kFrameBytes);
    EXPECT_EQ(received, frame());
  }
  bool may_rest() {
    pollfd kicked{port_->wait_fd(), POLLIN, 0};
    return !port_->pending() && ::poll(&kicked, 1, 0) == 0;
  }
  /// The thief is served no more, and told of; the bystander is served; the next guest is.
  void expect_lost(std::unique_ptr<HostileGuest> thief) {
    const VhostStatus status = port_->status();
    EXPECT_FALSE(status.is_connected);
    EXPECT_TRUE(status.has_lost_memory);
    EXPECT_EQ(status.memory_losses, ++losses_);
    thief->kick();
    for (int i = 0; i < 300; ++i) turn();
    EXPECT_TRUE(may_rest());
    EXPECT_FALSE(port_->status().is_connected);
    EXPECT_EQ(pool_->free_count(), kFrames);
    expect_served(bystander_, *other_port_);
    thief.reset();
    ASSERT_TRUE(step_until(pause, [&] { return !port_->status().has_lost_memory; }));
    auto next = connect();
    expect_served(*next, *port_);
    next.reset();
    ASSERT_TRUE(wait_for(*port_, false));
    EXPECT_EQ(port_->status().memory_losses, losses_);
    EXPECT_FALSE(other_port_->status().has_lost_memory);
  }

  const Directory directory_;
  const std::string path_ = directory_.path + "/thief.sock";
  const std::unique_ptr<MbufPool> pool_ = make_pool(kFrames);
  const std::unique_ptr<VhostPort> port_ = open_vhost(*pool_, path_);
  const std::unique_ptr<VhostPort> other_port_ = open_vhost(*pool_, directory_.path + "/bystander.sock");
  HostileGuest bystander_{directory_.path + "/bystander.sock"};
  std::uint64_t losses_ = 0;
};

struct Theft {
  const char* name;
  std::uint64_t left_bytes;  // HostileGuest::kBuffers: its rings stay
  std::uint32_t descriptor_bytes;
};
constexpr Theft kThefts[] = {
    {"buffers, under GuestRings", HostileGuest::kBuffers, kWhole},
    {"buffers, under DPDK", HostileGuest::kBuffers, kChained},
    {"all, under GuestRings", 0, kWhole},
    {"what is used of a ring, and not what is available", 0x13000, kWhole},
};

TEST_F(VhostMemory, TakenWhileThePacketsOfTheGuestAreRead) {
  for (const Theft& theft : kThefts) {
    SCOPED_TRACE(theft.name);
    auto thief = connect();
    expect_served(*thief, *port_);
    thief->send({}, frame(), theft.descriptor_bytes);
    thief->take_back(theft.left_bytes);
    std::array<net::Packet*, kBurst> burst;
    pool_->release(std::span(burst).first(port_->receive(burst)));
    expect_lost(std::move(thief));
  }
}

TEST_F(VhostMemory, TakenWhilePacketsForTheGuestAreWritten) {
  for (const Theft& theft : kThefts) {
    if (theft.left_bytes == 0x13000) continue;  // is the other ring's
    SCOPED_TRACE(theft.name);
    auto thief = connect();
    thief->make_room(2048, theft.descriptor_bytes);
    thief->take_back(theft.left_bytes);
    static_cast<void>(send(*pool_, *port_, frame()));
    expect_lost(std::move(thief));
  }
}

TEST_F(VhostMemory, TakenUnderPackedRings) {
  for (const bool is_sending : {false, true}) {
    auto thief = connect(HostileGuest::kPackedRings);
    thief->take_back(0);
    std::array<net::Packet*, kBurst> burst;
    if (is_sending) {
      static_cast<void>(send(*pool_, *port_, frame()));
    } else {
      pool_->release(std::span(burst).first(port_->receive(burst)));
    }
    expect_lost(std::move(thief));
  }
}

TEST_F(VhostMemory, TakenWhileAMessageOfTheGuestIsHandled) {
  auto thief = connect();
  thief->take_back(0);
  EXPECT_TRUE(thief->name_ring_again(0)) << "DPDK reads the ring's index";
  expect_lost(std::move(thief));
}

TEST_F(VhostMemory, ThatIsGoneIsNotMadeGoodByMessages) {
  auto thief = connect();
  thief->take_back(0);
  turn();
  thief->stop(1);
  EXPECT_TRUE(thief->start(1));
  expect_lost(std::move(thief));
}

/// Whoever comes first: the worker with a packet of any kind, or DPDK's thread with a message.
TEST_F(VhostMemory, TakenAtAnyMoment) {
  for (int round = 0; round < 6; ++round) {
    SCOPED_TRACE(round);
    auto thief = connect();
    {
      const std::jthread worker([&](const std::stop_token& stop) {
        const datapath::io::EalThread thread;
        while (!stop.stop_requested()) turn();
      });
      for (int i = 0; i < 100 * (round + 1); ++i) {
        const std::uint32_t descriptor_bytes = i % 2 == 0 ? kWhole : kChained;
        thief->send({}, frame(), descriptor_bytes);
        thief->make_room(2048, descriptor_bytes);
      }
      thief->take_back(round % 2 == 0 ? 0 : HostileGuest::kBuffers);
      for (int i = 0; i < 20; ++i) EXPECT_TRUE(thief->name_ring_again(i % 2u));
      if (round % 2 == 1) thief->take_back(0);
      ASSERT_TRUE(step_until(pause, [&] { return port_->status().has_lost_memory; }));
    }
    expect_lost(std::move(thief));
  }
}

/// DPDK reads the rings in new memory before anybody is told where it lies.
TEST_F(VhostMemory, LentAnewAndNotThere) {
  auto thief = connect();
  expect_served(*thief, *port_);
  const int empty = ::memfd_create("empty", MFD_CLOEXEC);
  EXPECT_TRUE(thief->lend_elsewhere(empty));
  ::close(empty);
  expect_lost(std::move(thief));
}

/// None is offered, and DPDK would map them without being asked where.
TEST_F(VhostMemory, OtherThanTheTableOfRegionsIsRefused) {
  auto guest = connect();
  const int empty = ::memfd_create("empty", MFD_CLOEXEC);
  const std::size_t before = open_files();
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(guest->lend_inflight(empty));
    EXPECT_FALSE(guest->lend_log(empty));
    EXPECT_FALSE(guest->ask_for_inflight());
    EXPECT_FALSE(guest->ask_for_postcopy());
  }
  EXPECT_EQ(open_files(), before) << "what came with them is closed";
  ::close(empty);
  expect_served(*guest, *port_);
}

/// Whoever touches it would wait for the disk, or for whoever serves that file system.
TEST_F(VhostMemory, ThatIsNotInMemoryIsRefused) {
  auto guest = connect();
  const std::filesystem::path beside = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const int file = ::open(beside.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  struct statfs system {};
  ASSERT_EQ(::fstatfs(file, &system), 0);
  if (system.f_type == TMPFS_MAGIC) GTEST_SKIP() << beside << " is in memory";
  ASSERT_EQ(::ftruncate(file, 2 * HostileGuest::kMemoryBytes), 0);
  EXPECT_FALSE(guest->lend_elsewhere(file));
  ::close(file);
  expect_served(*guest, *port_);
}

TEST_F(VhostMemory, ThatCannotBeMappedIsRefusedAndTheOldOneStays) {
  auto guest = connect();
  const int no_memory = ::memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(::fcntl(no_memory, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(guest->lend_elsewhere(no_memory));
    expect_served(*guest, *port_);
  }
  ::close(no_memory);
  EXPECT_EQ(port_->status().memory_losses, 0u);
}

}  // namespace
}  // namespace millrace::tests
