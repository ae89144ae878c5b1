/// PodNet: real network namespaces and veth pairs for tests, of which nothing is left however the test ends.
///
/// Theory:  the test process moves into a network namespace of its own, and every pod is another one without a name,
///          held by a descriptor. They end with the process, so there is nothing to clean up and nothing to collide
///          with. Interfaces there have short names: h0, h1 on the switch's side, eth0 in each pod.
/// Needs:   root (CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF). MILLRACE_NEEDS_ROOT() skips a test without it, saying so.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#define MILLRACE_NEEDS_ROOT() \
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: makes network namespaces and veth pairs"

namespace millrace::tests {

using Frame = std::vector<std::uint8_t>;

/// Runs a command of the shell; throws with its text when it fails.
void shell(const std::string& command);

/// Moves this process into a network namespace of its own; once, before other threads.
void enter_test_namespace();

/// A network namespace without a name.
class Namespace {
 public:
  Namespace();
  ~Namespace();
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  /// Runs `work` on a thread inside of the namespace and waits for it.
  void run(const std::function<void()>& work) const;
  /// Path for `ip link set netns`.
  std::string path() const;

 private:
  int descriptor_ = -1;
};

/// A pod: its namespace, eth0 in it, and `host` on the switch's side. The kernel's own chatter (IPv6, ARP) is off.
class Pod {
 public:
  explicit Pod(std::string host_interface, const std::string& link_options = "", const std::string& peer_options = "");
  /// Takes the pair away at once: the kernel frees a namespace in its own time. A test may have done so before.
  ~Pod();
  Pod(const Pod&) = delete;
  Pod& operator=(const Pod&) = delete;

  const std::string& host() const noexcept { return host_; }
  const Namespace& netns() const noexcept { return netns_; }

 private:
  Namespace netns_;
  std::string host_;
};

/// Sends and receives whole frames of one EtherType on a pod's eth0.
class RawSocket {
 public:
  static constexpr std::uint16_t kTestType = 0x88b5;  // IEEE 802 local experimental

  explicit RawSocket(const Pod& pod, std::uint16_t type = kTestType);
  ~RawSocket();
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  /// False when the device's queue is full.
  bool send(const Frame& frame) const;
  /// The next frame, or an empty one after `patience`.
  Frame receive(std::chrono::milliseconds patience = std::chrono::seconds(2)) const;

 private:
  int descriptor_ = -1;
};

/// A frame of `length` bytes: Ethernet header, `number`, then a pattern made from both.
Frame numbered_frame(std::uint32_t number, std::size_t length);
std::uint32_t number_of(const Frame& frame);

}  // namespace millrace::tests
