/// What the tests of AfXdpPort share: opening, and a loop that moves packets between two ports as a worker would.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "datapath/io/af_xdp_port.h"
#include "tests/io/pod_net.h"
#include "tests/io/test_pool.h"

namespace millrace::tests {

inline std::unique_ptr<datapath::io::AfXdpPort> open_port(datapath::io::MbufPool& pool, const std::string& interface,
                                                          std::uint32_t ring_size = 2048) {
  datapath::io::AfXdpOptions options;
  options.interface = interface;
  options.rx_ring_size = options.tx_ring_size = ring_size;
  auto port = datapath::io::AfXdpPort::open(pool, options);
  if (!port) throw std::runtime_error(port.error().message);
  return std::move(port).value();
}

/// One pod, the port that serves it on a pool of its own, and the pod's socket.
struct OnePod {
  explicit OnePod(std::uint32_t frames, std::uint32_t ring_size = 2048)
      : pool(make_pool(frames)), port(open_port(*pool, pod.host(), ring_size)), socket(pod) {}

  Pod pod{"h0"};
  std::unique_ptr<datapath::io::MbufPool> pool;
  std::unique_ptr<datapath::io::AfXdpPort> port;
  RawSocket socket;
};

/// Makes the frame what `packet` carries, from where its data begins.
inline void write_frame(net::Packet& packet, const Frame& frame) {
  std::copy(frame.begin(), frame.end(), packet.data);
  packet.head_bytes = packet.length_bytes = static_cast<std::uint32_t>(frame.size());
}

/// Moves what `from` received to `to`; what `to` does not take is counted and given back, as the pipeline does.
/// Returns packets received.
inline unsigned move_burst(datapath::io::MbufPool& pool, datapath::Port& from, datapath::Port& to,
                           std::uint64_t* refused = nullptr) {
  std::array<net::Packet*, datapath::kBurst> burst;
  const unsigned n = from.receive(burst);
  if (n == 0) return 0;
  const unsigned taken = to.transmit(std::span(burst).first(n));
  pool.release(std::span(burst).subspan(taken, n - taken));
  if (refused != nullptr) *refused += n - taken;
  to.flush();
  return n;
}

/// A thread that forwards between two ports, both ways, until it is destroyed.
class Forwarder {
 public:
  Forwarder(datapath::io::MbufPool& pool, datapath::Port& a, datapath::Port& b)
      : thread_([this, &pool, &a, &b] {
          const datapath::io::EalThread eal;
          while (!stop_.load(std::memory_order_relaxed)) {
            if (move_burst(pool, a, b, &refused_) + move_burst(pool, b, a, &refused_) == 0) std::this_thread::yield();
          }
        }) {}
  ~Forwarder() { stop(); }
  void stop() {
    stop_.store(true);
    if (thread_.joinable()) thread_.join();
  }
  /// After stop().
  std::uint64_t refused() const noexcept { return refused_; }

 private:
  std::atomic<bool> stop_{false};
  std::uint64_t refused_ = 0;
  std::thread thread_;
};

/// Calls `step` until `done` says so; false when that took longer than anything here may take.
inline bool step_until(const std::function<void()>& step, const std::function<bool()>& done) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!done()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    step();
  }
  return true;
}

}  // namespace millrace::tests
