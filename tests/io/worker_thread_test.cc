// A worker's thread: how it rests, and that nothing is missed while it does.
#include "datapath/io/worker_thread.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <time.h>

#include <fstream>
#include <random>
#include <thread>

#include "datapath/handoff.h"
#include "datapath/memory_port.h"
#include "datapath/snapshot_builder.h"
#include "tests/io/port_rig.h"

namespace millrace::datapath::io {
namespace {

using namespace std::chrono_literals;
using tests::Frame;

const net::Mac kGatewayMac{{0x02, 0x4d, 0x52, 0, 0, 1}};
const net::Mac kPodMac{{2, 0, 0, 0, 0, 1}};

/// One worker with its thread, and one pod 10.0.0.1 on `port`.
class Rig {
 public:
  Rig(PacketPool& pool, Port* port, PollMode poll = PollMode::kAdaptive) : port_(port) {
    rings_ = make_handoff_rings(1, nullptr, nullptr);
    worker_ = std::make_unique<Worker>(WorkerId{0}, FlowSettings{.limit = 1024}, publisher_, pool, *rings_, counters_);
    publish();
    auto thread = WorkerThread::start(*worker_, {.cpu = -1, .poll = poll});
    if (!thread) throw std::runtime_error(thread.error().message);
    thread_ = std::move(thread).value();
  }

  std::uint64_t publish() {
    SnapshotSpec spec;
    spec.generation = ++generation_;
    spec.port_limit = 4;
    spec.worker_count = 1;
    spec.gateway.mac = kGatewayMac;
    spec.gateway.ipv4 = *net::Ipv4::parse("169.254.1.1");
    if (port_ != nullptr) {
      PortSpec pod;
      pod.id = 1;
      pod.name = "pod";
      pod.port = port_;
      pod.mtu_bytes = 1500;
      pod.mac = kPodMac;
      pod.addresses = {*net::IpAddress::parse("10.0.0.1")};
      spec.ports.push_back(pod);
    }
    auto built = build_snapshot(spec, publisher_.current());
    if (!built) throw std::runtime_error(built.error().message);
    publisher_.publish(std::move(built).value());
    return generation_;
  }
  /// True when the worker waits: it took no turn for 50 ms.
  bool rests() {
    return tests::step_until(
        [&] {
          turns_ = counters_.loops.get();
          std::this_thread::sleep_for(50ms);
        },
        [&] { return turns_ != 0 && turns_ == counters_.loops.get(); });
  }

  WorkerThread& thread() { return *thread_; }
  WorkerCounters& counters() { return counters_; }
  Publisher& publisher() { return publisher_; }

 private:
  Port* port_;
  Publisher publisher_{1};
  WorkerCounters counters_{4};
  std::unique_ptr<HandoffRings, void (*)(HandoffRings*)> rings_{nullptr, nullptr};
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<WorkerThread> thread_;
  std::uint64_t generation_ = 0;
  std::uint64_t turns_ = 0;
};

/// A port in memory that has a descriptor, as a device has.
class BellPort final : public Port {
 public:
  BellPort() : bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~BellPort() override { ::close(bell_); }
  unsigned receive(std::span<net::Packet*>) noexcept override { return 0; }
  unsigned transmit(std::span<net::Packet* const>) noexcept override { return 0; }
  int wait_fd() const noexcept override { return bell_; }
  bool pending() const noexcept override { return pending_.load(); }
  void set_pending(bool value) { pending_.store(value); }

 private:
  int bell_;
  std::atomic<bool> pending_{false};
};

/// Who has 169.254.1.1? Tell 10.0.0.1.
Frame arp_request() {
  Frame frame(60);
  const std::uint8_t head[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,   0,   0, 0,
                               0,    1,    0x08, 0x06,                               // to all, from the pod: ARP
                               0,    1,    8,    0,    6,    4,    0,   1,           // Ethernet, IPv4, request
                               2,    0,    0,    0,    0,    1,    10,  0,   0, 1,   // the pod
                               0,    0,    0,    0,    0,    0,    169, 254, 1, 1};  // the gateway
  std::copy(std::begin(head), std::end(head), frame.begin());
  return frame;
}

bool is_arp_reply(const Frame& frame) {
  return frame.size() >= 42 && frame[21] == 2 &&
         std::equal(kGatewayMac.bytes.begin(), kGatewayMac.bytes.end(), &frame[22]);
}

TEST(WorkerThread, TakesNoTurnAndNoTimeWhileItRests) {
  MemoryPool pool(64);
  BellPort port;
  Rig rig(pool, &port);
  ASSERT_TRUE(rig.rests());
  timespec before{}, after{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  const std::uint64_t turns = rig.counters().loops.get();
  std::this_thread::sleep_for(300ms);
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  EXPECT_EQ(rig.counters().loops.get(), turns);
  const double used_ms = static_cast<double>(after.tv_sec - before.tv_sec) * 1e3 +
                         static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e6;
  EXPECT_LT(used_ms, 15.0) << "5 % of a core";
}

TEST(WorkerThread, EveryPublishedGenerationIsSeenAfterAWake) {
  MemoryPool pool(64);
  BellPort port;
  Rig rig(pool, &port);
  // At every point of the way to rest: while it spins, yields, naps, is about to wait, waits.
  std::mt19937 random(1);
  for (int i = 0; i < 500; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 600));
    const std::uint64_t generation = rig.publish();
    rig.thread().wake();
    ASSERT_TRUE(
        tests::step_until([] { std::this_thread::yield(); }, [&] { return rig.publisher().seen_by_all(generation); }))
        << "generation " << generation << " was missed";
    rig.publisher().reclaim();
  }
}

TEST(WorkerThread, GoesOnWhileAPortHasSomethingPending) {
  MemoryPool pool(64);
  BellPort port;
  port.set_pending(true);
  Rig rig(pool, &port);
  std::this_thread::sleep_for(20ms);  // long past the time at which it would wait
  const std::uint64_t turns = rig.counters().loops.get();
  EXPECT_TRUE(
      tests::step_until([] { std::this_thread::yield(); }, [&] { return rig.counters().loops.get() > turns + 20; }));
  port.set_pending(false);
  EXPECT_TRUE(rig.rests());
}

TEST(WorkerThread, ServesAPortWithoutDescriptorWithoutAWake) {
  MemoryPool pool(64);
  MemoryPort port;
  const Rig rig(pool, &port);
  const Frame request = arp_request();
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(2ms);
    net::Packet* packet = pool.allocate();
    std::copy(request.begin(), request.end(), packet->data);
    packet->head_bytes = packet->length_bytes = static_cast<std::uint32_t>(request.size());
    ASSERT_EQ(port.offer({&packet, 1}), 1u);
    net::Packet* answer = nullptr;
    ASSERT_TRUE(tests::step_until([] { std::this_thread::yield(); }, [&] { return port.collect({&answer, 1}) == 1; }));
    EXPECT_TRUE(is_arp_reply(Frame(answer->data, answer->data + answer->length_bytes)));
    pool.release({&answer, 1});
  }
}

TEST(WorkerThread, PollAlwaysNeverRests) {
  MemoryPool pool(64);
  BellPort port;
  Rig rig(pool, &port, PollMode::kAlways);
  std::this_thread::sleep_for(20ms);
  const std::uint64_t turns = rig.counters().loops.get();
  EXPECT_TRUE(tests::step_until([] { std::this_thread::yield(); },
                                [&] { return rig.counters().loops.get() > turns + 10'000; }));
  EXPECT_EQ(rig.counters().sleeps.get(), 0u);
}

TEST(WorkerThread, RestsBeforeTheFirstSnapshotAndSeesIt) {
  MemoryPool pool(64);
  Publisher publisher(1);
  WorkerCounters counters(4);
  const auto rings = make_handoff_rings(1, nullptr, nullptr);
  Worker worker(0, FlowSettings{.limit = 1024}, publisher, pool, *rings, counters);
  auto thread = WorkerThread::start(worker, {});
  ASSERT_TRUE(thread.ok());
  ASSERT_TRUE(tests::step_until([] { std::this_thread::yield(); }, [&] { return counters.sleeps.get() >= 4; }));
  SnapshotSpec spec;
  spec.generation = 1;
  spec.port_limit = 4;
  spec.worker_count = 1;
  spec.gateway.mac = kGatewayMac;
  publisher.publish(std::move(build_snapshot(spec, nullptr)).value());
  (*thread)->wake();
  EXPECT_TRUE(tests::step_until([] { std::this_thread::yield(); }, [&] { return publisher.seen_by_all(1); }));
}

TEST(WorkerThread, RefusesAProcessorThatIsNotThere) {
  MemoryPool pool(64);
  Publisher publisher(1);
  WorkerCounters counters(4);
  const auto rings = make_handoff_rings(1, nullptr, nullptr);
  Worker worker(0, FlowSettings{.limit = 1024}, publisher, pool, *rings, counters);
  for (const int cpu : {1000, 5'000'000}) {
    const auto thread = WorkerThread::start(worker, {.cpu = cpu, .poll = PollMode::kAdaptive});
    ASSERT_FALSE(thread.ok());
    EXPECT_EQ(thread.error().code, net::ErrorCode::kInvalidArgument);
    EXPECT_NE(thread.error().message.find("processor " + std::to_string(cpu)), std::string::npos);
  }
}

TEST(WorkerThread, APacketEndsTheRest) {
  MILLRACE_NEEDS_ROOT();
  const tests::Pod pod("h0");
  const auto pool = tests::make_pool(1024);
  const auto port = tests::open_port(*pool, "h0");
  Rig rig(*pool, port.get());
  const tests::RawSocket arp(pod, 0x0806);
  std::mt19937 random(2);
  for (int i = 0; i < 200; ++i) {
    // From deep rest at first, then at every point of the way to it.
    if (i >= 3) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 800));
    } else {
      ASSERT_TRUE(rig.rests());
    }
    ASSERT_TRUE(arp.send(arp_request()));
    ASSERT_TRUE(is_arp_reply(arp.receive())) << "request " << i << " was not answered";
  }
  EXPECT_GE(rig.counters().wakeups.get(), 3u);
}

TEST(WorkerThread, RestsAlthoughAPortLostItsInterface) {
  MILLRACE_NEEDS_ROOT();
  const tests::Pod pod("h0");
  const auto pool = tests::make_pool(1024);
  const auto port = tests::open_port(*pool, "h0");
  Rig rig(*pool, port.get());
  ASSERT_TRUE(rig.rests());
  tests::shell("ip link del h0");
  EXPECT_TRUE(rig.rests());
  const std::uint64_t generation = rig.publish();
  rig.thread().wake();
  EXPECT_TRUE(
      tests::step_until([] { std::this_thread::yield(); }, [&] { return rig.publisher().seen_by_all(generation); }));
}

}  // namespace
}  // namespace millrace::datapath::io
