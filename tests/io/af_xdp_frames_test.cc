// Whose are the frames: conservation when ports come, go and lose their interface; sharing among many ports.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "datapath/io/af_xdp_port.h"
#include "datapath/io/fill_ring.h"
#include "tests/io/port_rig.h"

namespace millrace::datapath::io {
namespace {

using tests::make_pool;
using tests::number_of;
using tests::numbered_frame;
using tests::OnePod;
using tests::open_port;
using tests::Pod;
using tests::RawSocket;
using tests::write_frame;

/// Sends `count` frames at most `window` ahead of what arrives; returns how many arrived in order.
std::uint32_t exchange(const RawSocket& sender, const RawSocket& receiver, std::uint32_t count, std::uint32_t window) {
  std::uint32_t sent = 0, arrived = 0;
  while (arrived < count) {
    while (sent < count && sent - arrived < window) {
      if (sender.send(numbered_frame(sent, 60 + sent % 1400))) ++sent;
    }
    const tests::Frame frame = receiver.receive();
    if (frame != numbered_frame(arrived, 60 + arrived % 1400)) break;
    ++arrived;
  }
  return arrived;
}

std::uint32_t drain(AfXdpPort& port, MbufPool& pool) {
  std::array<net::Packet*, kBurst> burst;
  std::uint32_t sum = 0;
  while (const unsigned n = port.receive(burst)) {
    pool.release(std::span(burst).first(n));
    sum += n;
  }
  return sum;
}

TEST(AfXdpFrames, AllComeBackWhateverTheKernelHadWhenAPortClosed) {
  MILLRACE_NEEDS_ROOT();
  const Pod left("h0"), right("h1");
  const auto pool = make_pool(8192);
  for (int round = 0; round < 3; ++round) {
    const RawSocket sender(left), receiver(right);
    auto in = open_port(*pool, "h0"), out = open_port(*pool, "h1");
    ASSERT_LT(pool->free_count(), 8192u) << "the kernel has frames";
    {
      const tests::Forwarder forwarder(*pool, *in, *out);
      EXPECT_EQ(exchange(sender, receiver, 4000, 100), 4000u);
    }
    // Now frames of every kind: waiting to be received, queued and not sent, sent and not reclaimed.
    for (std::uint32_t i = 0; i < 300; ++i) ASSERT_TRUE(sender.send(numbered_frame(i, 1000)));
    std::array<net::Packet*, kBurst> burst;
    const unsigned n = in->receive(burst);
    ASSERT_GT(n, 0u);
    ASSERT_EQ(out->transmit(std::span(burst).first(n)), n);
    if (round == 1) out->flush();
    in.reset();
    out.reset();
    EXPECT_EQ(pool->free_count(), 8192u) << "round " << round;
  }
  EXPECT_EQ(pool->fill_budget().taken(), 0u);
}

TEST(AfXdpFrames, ADeletedInterfaceIsNoticedAndLosesNothing) {
  MILLRACE_NEEDS_ROOT();
  const Pod left("h0"), right("h1");
  const auto pool = make_pool(4096);
  {
    const auto doomed = open_port(*pool, "h0"), other = open_port(*pool, "h1");
    EXPECT_FALSE(doomed->dead());
    ASSERT_TRUE(RawSocket(left).send(numbered_frame(1, 60)));
    tests::shell("ip link del h0");
    EXPECT_TRUE(doomed->dead());
    EXPECT_TRUE(doomed->dead()) << "and it stays so";
    EXPECT_FALSE(other->dead());

    // A worker that does not know yet goes on calling; nothing blocks, nothing keeps it from its rest.
    net::Packet* packet = pool->allocate();
    packet->head_bytes = packet->length_bytes = 60;
    ASSERT_EQ(doomed->transmit({&packet, 1}), 1u);
    doomed->flush();
    EXPECT_FALSE(doomed->pending());
    drain(*doomed, *pool);
    EXPECT_EQ(drain(*doomed, *pool), 0u);
    ASSERT_TRUE(RawSocket(right).send(numbered_frame(2, 60)));
    std::uint32_t got = 0;
    EXPECT_TRUE(tests::step_until([&] { got += drain(*other, *pool); }, [&] { return got == 1; }));
  }
  EXPECT_EQ(pool->free_count(), 4096u);
}

TEST(AfXdpFrames, ASetDownInterfaceComesBack) {
  MILLRACE_NEEDS_ROOT();
  const OnePod h0(1024);
  tests::shell("ip link set h0 down");
  net::Packet* packet = h0.pool->allocate();
  const tests::Frame frame = numbered_frame(5, 60);
  write_frame(*packet, frame);
  ASSERT_EQ(h0.port->transmit({&packet, 1}), 1u);
  h0.port->flush();
  EXPECT_FALSE(h0.port->pending()) << "nothing to be gained by trying again";
  EXPECT_FALSE(h0.port->dead());
  tests::shell("ip link set h0 up");
  h0.port->flush();
  EXPECT_EQ(h0.socket.receive(), frame);
}

TEST(AfXdpFrames, PortsComeAndGoUnderTrafficOfOthersWithoutLoss) {
  MILLRACE_NEEDS_ROOT();
  const Pod left("h0"), right("h1"), guest("h2");
  const auto pool = make_pool(8192);
  {
    const auto in = open_port(*pool, "h0"), out = open_port(*pool, "h1");
    tests::Forwarder forwarder(*pool, *in, *out);
    std::atomic<bool> finished{false};
    unsigned openings = 0;
    std::thread control([&] {
      for (; !finished.load(); ++openings) {
        const auto passing = open_port(*pool, "h2");
        EXPECT_TRUE(RawSocket(guest).send(numbered_frame(1, 60)));  // closed with a packet waiting
      }
    });
    const RawSocket sender(left), receiver(right);
    EXPECT_EQ(exchange(sender, receiver, 60'000, 64), 60'000u);
    finished.store(true);
    control.join();
    EXPECT_GE(openings, 2u);
    forwarder.stop();
    EXPECT_EQ(forwarder.refused(), 0u);
    EXPECT_EQ(in->statistics().rx_dropped, 0u);
  }
  EXPECT_EQ(pool->free_count(), 8192u);
}

TEST(AfXdpFrames, AnIdlePortHoldsFewAndABusyOneGetsMore) {
  MILLRACE_NEEDS_ROOT();
  const OnePod h0(16384);
  const std::uint32_t idle = h0.port->frames_ready();
  EXPECT_LE(idle, 256u);
  // Bursts that a port with the frames of an idle one could not take.
  std::uint32_t lost_at_first = 0, lost_at_last = 0;
  for (int round = 0; round < 12; ++round) {
    for (std::uint32_t i = 0; i < 1200; ++i) ASSERT_TRUE(h0.socket.send(numbered_frame(i, 60)));
    const std::uint32_t got = drain(*h0.port, *h0.pool);
    if (round == 0) lost_at_first = 1200 - got;
    lost_at_last = 1200 - got;
  }
  EXPECT_GT(lost_at_first, 0u);
  EXPECT_EQ(lost_at_last, 0u);
  EXPECT_GE(h0.port->frames_ready(), 1200u);
}

TEST(AfXdpFrames, IdlePortsGiveBackWhenOthersNeedThem) {
  MILLRACE_NEEDS_ROOT();
  constexpr std::uint32_t kCount = 8192;
  constexpr int kPorts = 4;
  const auto pool = make_pool(kCount);
  std::vector<std::unique_ptr<Pod>> pods;
  std::vector<std::unique_ptr<AfXdpPort>> ports;
  for (int i = 0; i < kPorts; ++i) {
    pods.push_back(std::make_unique<Pod>(fmt::format("h{}", i)));
    ports.push_back(open_port(*pool, pods.back()->host()));
  }
  // Each has its busy time, one after the other; together they would hold twice what there is for all.
  for (int i = 0; i < kPorts; ++i) {
    const RawSocket sender(*pods[static_cast<std::size_t>(i)]);
    std::uint32_t got = 0;
    for (int round = 0; round < 40 && got < 1500; ++round) {
      for (std::uint32_t n = 0; n < 1500; ++n) ASSERT_TRUE(sender.send(numbered_frame(n, 60)));
      got = drain(*ports[static_cast<std::size_t>(i)], *pool);
      // Meanwhile the worker looks at the others too.
      for (int turn = 0; turn < 300; ++turn) {
        for (const auto& port : ports) drain(*port, *pool);
      }
    }
    EXPECT_EQ(got, 1500u) << "port " << i << " found the room the others no longer need";
  }
  std::uint32_t held = 0;
  for (const auto& port : ports) held += port->frames_ready();
  EXPECT_LE(held, kCount / 2);
  EXPECT_EQ(pool->free_count(), kCount - held) << "what was given back is free";

  // The ports that gave frames back still work: what the kernel has is theirs, what it skips was blank.
  for (int i = 0; i < kPorts; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const RawSocket sender(*pods[at]);
    std::array<net::Packet*, kBurst> burst;
    for (std::uint32_t n = 0; n < 5000; ++n) {
      ASSERT_TRUE(sender.send(numbered_frame(n, 70)));
      ASSERT_EQ(ports[at]->receive(burst), 1u) << "packet " << n << " of port " << i;
      ASSERT_EQ(number_of(tests::Frame(burst[0]->data, burst[0]->data + 70)), n);
      pool->release(std::span(burst).first(1));
    }
  }
  ports.clear();
  EXPECT_EQ(pool->free_count(), kCount);
  EXPECT_EQ(pool->fill_budget().taken(), 0u);
}

TEST(AfXdpFrames, APortStarvedOfFramesRecovers) {
  MILLRACE_NEEDS_ROOT();
  const OnePod h0(512);
  std::vector<net::Packet*> hoard;
  while (net::Packet* packet = h0.pool->allocate()) hoard.push_back(packet);
  // All frames of the ring come up, and there is none to put in their place.
  for (std::uint32_t i = 0; i < 600; ++i) ASSERT_TRUE(h0.socket.send(numbered_frame(i, 60)));
  std::array<net::Packet*, kBurst> burst;
  while (const unsigned n = h0.port->receive(burst)) hoard.insert(hoard.end(), burst.begin(), burst.begin() + n);
  EXPECT_EQ(h0.port->frames_ready(), 0u);
  h0.pool->release(hoard);
  EXPECT_EQ(h0.port->receive(burst), 0u);  // fills the ring again
  ASSERT_TRUE(h0.socket.send(numbered_frame(77, 60)));
  ASSERT_EQ(h0.port->receive(burst), 1u);
  EXPECT_EQ(number_of(tests::Frame(burst[0]->data, burst[0]->data + 60)), 77u);
  h0.pool->release(std::span(burst).first(1));
}

}  // namespace
}  // namespace millrace::datapath::io
