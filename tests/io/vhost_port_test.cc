// VhostPort with a guest in another process: DPDK's testpmd on virtio-user, which sends back what it gets.
#include "datapath/io/vhost_port.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/io/port_rig.h"

extern char** environ;

namespace millrace::datapath::io {
namespace {

using tests::Frame;
using tests::make_pool;
using tests::number_of;
using tests::numbered_frame;

/// A directory for sockets, gone with the test.
struct Directory {
  Directory() {
    std::string name = std::filesystem::temp_directory_path() / "millrace-vhost-XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~Directory() { std::filesystem::remove_all(path); }
  std::string path;
};

/// testpmd with one virtio-user device, forwarding what it receives back on the same device.
class Guest {
 public:
  explicit Guest(const std::string& device, unsigned queues = 1) {
    int stdin_ends[2];  // testpmd ends when its input does
    if (::pipe2(stdin_ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    input_ = stdin_ends[1];
    std::vector<std::string> words = {"dpdk-testpmd",
                                      "--no-pci",
                                      "--no-huge",
                                      "--no-telemetry",
                                      "-m",
                                      "256",
                                      "--no-shconf",
                                      fmt::format("--lcores=0@{0},1@{0}", first_cpu()),
                                      fmt::format("--vdev=net_virtio_user0,{},queues={}", device, queues),
                                      "--",
                                      "--forward-mode=io",
                                      "--port-topology=loop",
                                      "--total-num-mbufs=2048",
                                      fmt::format("--rxq={}", queues),
                                      fmt::format("--txq={}", queues),
                                      "--nb-cores=1",
                                      "--no-flush-rx"};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, stdin_ends[0], STDIN_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    const int failed = ::posix_spawnp(&pid_, words.front().c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(stdin_ends[0]);
    if (failed != 0) throw std::runtime_error("dpdk-testpmd does not start: package dpdk-dev");
  }
  ~Guest() { kill(); }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  /// As a machine that is switched off.
  void kill() {
    if (pid_ == 0) return;
    ::kill(std::exchange(pid_, 0), SIGKILL);
    ::waitpid(-1, nullptr, 0);
    ::close(input_);
  }

 private:
  static int first_cpu() {
    cpu_set_t cpus;
    ::sched_getaffinity(0, sizeof cpus, &cpus);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &cpus)) ++cpu;
    return cpu;
  }
  pid_t pid_ = 0;
  int input_ = -1;
};

std::unique_ptr<VhostPort> open_port(MbufPool& pool, const std::string& path, bool is_client = false) {
  auto port = VhostPort::open(pool, {.path = path, .is_client = is_client});
  if (!port) throw std::runtime_error(port.error().message);
  return *std::move(port);
}

void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }

bool wait_for(const VhostPort& port, bool is_connected, unsigned pairs = 1) {
  return tests::step_until(pause, [&] {
    const VhostStatus status = port.status();
    return status.is_connected == is_connected && (!is_connected || status.queue_pairs == pairs);
  });
}

constexpr std::uint32_t kProbe = 7;

/// True when the port took it.
bool send(MbufPool& pool, Port& port, const Frame& frame) {
  net::Packet* packet = pool.allocate();
  tests::write_frame(*packet, frame);
  if (port.transmit({&packet, 1}) == 1) return true;
  pool.release({&packet, 1});
  return false;
}

/// The next frame of the port; empty when there is none.
Frame next_frame(MbufPool& pool, Port& port) {
  std::array<net::Packet*, 1> packet{};
  if (port.receive(packet) == 0) return {};
  EXPECT_GE(packet[0]->headroom_bytes(), 128u);
  const Frame frame(packet[0]->data, packet[0]->data + packet[0]->length_bytes);
  pool.release(packet);
  return frame;
}

/// The guest answers: its rings are up before testpmd forwards, and what comes in between may be lost.
bool answers(MbufPool& pool, Port& port) {
  bool is_back = false;
  const auto ask = [&] {
    send(pool, port, numbered_frame(kProbe, 100));
    pause();
    is_back = !next_frame(pool, port).empty();
  };
  return tests::step_until(ask, [&] { return is_back; });
}

/// What comes back for the frame; probes that are under way are passed over.
Frame echo(MbufPool& pool, Port& port, const Frame& frame) {
  bool is_sent = false;
  if (!tests::step_until([&] { is_sent = send(pool, port, frame); }, [&] { return is_sent; })) return {};
  Frame back;
  tests::step_until([&] { back = next_frame(pool, port); }, [&] { return !back.empty() && number_of(back) != kProbe; });
  return back;
}

void expect_echo(MbufPool& pool, Port& port) {
  ASSERT_TRUE(answers(pool, port));
  for (const std::size_t length : {60, 64, 65, 128, 590, 1279, 1500, 1514}) {
    const Frame frame = numbered_frame(static_cast<std::uint32_t>(length), length);
    EXPECT_EQ(echo(pool, port, frame), frame) << length << " bytes";
  }
}

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
    const auto port = open_port(*pool, path);
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

TEST(VhostPort, AGuestThatIsKilledComesBack) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  const auto port = open_port(*pool, path);
  for (int round = 0; round < 3; ++round) {
    Guest guest("path=" + path);
    ASSERT_TRUE(wait_for(*port, true));
    expect_echo(*pool, *port);
    guest.kill();
    ASSERT_TRUE(wait_for(*port, false)) << "its rings are let go";
    net::Packet* packet = pool->allocate();
    tests::write_frame(*packet, numbered_frame(1, 64));
    EXPECT_EQ(port->transmit({&packet, 1}), 0u) << "nobody takes it: the caller drops and counts it";
    pool->release({&packet, 1});
  }
  EXPECT_EQ(pool->free_count(), 4096u);
}

TEST(VhostPort, AsAClientItWaitsForTheGuestAndConnectsAgain) {
  const Directory directory;
  const std::string path = directory.path + "/guest.sock";
  const auto pool = make_pool(4096);
  const auto port = open_port(*pool, path, true);
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
    const auto port = open_port(*pool, path, true);
    ASSERT_TRUE(wait_for(*port, true));
    expect_echo(*pool, *port);
  }
  EXPECT_EQ(pool->free_count(), 4096u);
}

TEST(VhostPort, AGuestGoesWhileAWorkerPolls) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(8192);
  const auto port = open_port(*pool, path);
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
        tests::write_frame(*burst[count], numbered_frame(count, 200));
      }
      const unsigned taken = port->transmit(std::span(burst).first(count));
      pool->release(std::span(burst).subspan(taken, count - taken));
    }
  });
  for (int round = 0; round < 3; ++round) {
    Guest guest("path=" + path);
    const std::uint64_t before = moved;
    EXPECT_TRUE(wait_for(*port, true));
    EXPECT_TRUE(tests::step_until(pause, [&] { return moved > before + 10'000; }));
    guest.kill();
    EXPECT_TRUE(wait_for(*port, false));
  }
  stop = true;
  worker.join();
  EXPECT_EQ(pool->free_count(), 8192u) << "no frame is lost with a guest";
}

TEST(VhostPort, ASecondGuestIsRefused) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  const auto port = open_port(*pool, path);
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

TEST(VhostPort, MessagesThatAreNoneHarmNobody) {
  const Directory directory;
  const std::string path = directory.path + "/pod.sock";
  const auto pool = make_pool(4096);
  const auto port = open_port(*pool, path);
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
  auto port = open_port(*pool, path);
  EXPECT_NE(error_of(path).find("another port has it"), std::string::npos);
  port.reset();
  port = open_port(*pool, path);
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
  const auto port = open_port(*pool, path);
  const Guest guest("path=" + path);
  ASSERT_TRUE(wait_for(*port, true));
}

}  // namespace
}  // namespace millrace::datapath::io
