/// What the tests of VhostPort share: a guest in another process (DPDK's testpmd on virtio-user, which sends back what
/// it gets), and frames to it and back.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "datapath/io/vhost_port.h"
#include "tests/io/port_rig.h"

namespace millrace::tests {

using datapath::Port;
using datapath::io::MbufPool;
using datapath::io::VhostPort;
using datapath::io::VhostStatus;

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
  explicit Guest(const std::string& device, unsigned queues = 1, const std::vector<std::string>& arguments = {}) {
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
    words.insert(words.end(), arguments.begin(), arguments.end());
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

inline std::unique_ptr<VhostPort> open_vhost(MbufPool& pool, const std::string& path, bool is_client = false) {
  auto port = VhostPort::open(pool, {.path = path, .is_client = is_client});
  if (!port) throw std::runtime_error(port.error().message);
  return *std::move(port);
}

inline void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }

inline bool wait_for(const VhostPort& port, bool is_connected, unsigned pairs = 1) {
  return step_until(pause, [&] {
    const VhostStatus status = port.status();
    return status.is_connected == is_connected && (!is_connected || status.queue_pairs == pairs);
  });
}

inline constexpr std::uint32_t kProbe = 7;

/// True when the port took it.
inline bool send(MbufPool& pool, Port& port, const Frame& frame) {
  net::Packet* packet = pool.allocate();
  write_frame(*packet, frame);
  if (port.transmit({&packet, 1}) == 1) return true;
  pool.release({&packet, 1});
  return false;
}

/// The next frame of the port; empty when there is none.
inline Frame next_frame(MbufPool& pool, Port& port) {
  std::array<net::Packet*, 1> packet{};
  if (port.receive(packet) == 0) return {};
  EXPECT_GE(packet[0]->headroom_bytes(), 128u);
  const Frame frame(packet[0]->data, packet[0]->data + packet[0]->length_bytes);
  pool.release(packet);
  return frame;
}

/// The guest answers: its rings are up before testpmd forwards, and what comes in between may be lost.
inline bool answers(MbufPool& pool, Port& port) {
  bool is_back = false;
  const auto ask = [&] {
    send(pool, port, numbered_frame(kProbe, 100));
    pause();
    is_back = !next_frame(pool, port).empty();
  };
  return step_until(ask, [&] { return is_back; });
}

/// What comes back for the frame; probes that are under way are passed over.
inline Frame echo(MbufPool& pool, Port& port, const Frame& frame) {
  bool is_sent = false;
  if (!step_until([&] { is_sent = send(pool, port, frame); }, [&] { return is_sent; })) return {};
  Frame back;
  step_until([&] { back = next_frame(pool, port); }, [&] { return !back.empty() && number_of(back) != kProbe; });
  return back;
}

inline void expect_echo(MbufPool& pool, Port& port) {
  ASSERT_TRUE(answers(pool, port));
  for (const std::size_t length : {60, 64, 65, 128, 590, 1279, 1500, 1514}) {
    const Frame frame = numbered_frame(static_cast<std::uint32_t>(length), length);
    EXPECT_EQ(echo(pool, port, frame), frame) << length << " bytes";
  }
}

}  // namespace millrace::tests
