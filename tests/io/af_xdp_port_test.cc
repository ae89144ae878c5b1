// AfXdpPort between real pods: veth pairs, kernel sockets at both ends.
#include "datapath/io/af_xdp_port.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <set>

#include "tests/io/port_rig.h"

namespace millrace::datapath::io {
namespace {

using tests::Frame;
using tests::make_pool;
using tests::number_of;
using tests::numbered_frame;
using tests::OnePod;
using tests::open_port;
using tests::Pod;
using tests::RawSocket;
using tests::write_frame;

TEST(AfXdpPort, CarriesFramesOfEveryLengthUnchanged) {
  MILLRACE_NEEDS_ROOT();
  const Pod left("h0"), right("h1");
  const auto pool = make_pool(1024);
  {
    const auto in = open_port(*pool, "h0"), out = open_port(*pool, "h1");
    EXPECT_EQ(in->mode(), XdpMode::kNative);
    const tests::Forwarder forwarder(*pool, *in, *out);
    const RawSocket sender(left), receiver(right);
    std::uint32_t number = 0;
    for (const std::size_t length : {60, 64, 65, 127, 128, 256, 590, 1000, 1279, 1280, 1500, 1513, 1514}) {
      const Frame frame = numbered_frame(++number, length);
      ASSERT_TRUE(sender.send(frame));
      EXPECT_EQ(receiver.receive(), frame) << length << " bytes";
      const Frame answer = numbered_frame(++number, length);
      ASSERT_TRUE(receiver.send(answer));
      EXPECT_EQ(sender.receive(), answer) << length << " bytes back";
    }
  }
  EXPECT_EQ(pool->free_count(), 1024u);
}

TEST(AfXdpPort, ReceivedPacketIsAsThePoolWouldGiveIt) {
  MILLRACE_NEEDS_ROOT();
  const OnePod h0(1024);
  ASSERT_TRUE(h0.socket.send(numbered_frame(7, 100)));
  std::array<net::Packet*, kBurst> burst;
  unsigned n = 0;
  ASSERT_TRUE(tests::step_until([&] { n = h0.port->receive(burst); }, [&] { return n != 0; }));
  ASSERT_EQ(n, 1u);
  const net::Packet& packet = *burst[0];
  EXPECT_EQ(packet.length_bytes, 100u);
  EXPECT_EQ(packet.head_bytes, 100u);
  EXPECT_GE(packet.headroom_bytes(), kHeadroomBytes);
  EXPECT_EQ(packet.in_port, net::kNoPort);
  EXPECT_FALSE(packet.offload.checksum_partial);
  EXPECT_EQ(Frame(packet.data, packet.data + packet.length_bytes), numbered_frame(7, 100));
  h0.pool->release(std::span(burst).first(1));
}

TEST(AfXdpPort, SendsPacketsWhoseHeadWasMovedInTheHeadroom) {
  MILLRACE_NEEDS_ROOT();
  const OnePod h0(1024);
  for (const int shift : {-static_cast<int>(kHeadroomBytes), -50, -1, 0, 1, 18, 300}) {
    net::Packet* packet = h0.pool->allocate();
    const Frame frame = numbered_frame(static_cast<std::uint32_t>(1000 + shift), 200);
    packet->data += shift;
    write_frame(*packet, frame);
    ASSERT_EQ(h0.port->transmit({&packet, 1}), 1u);
    h0.port->flush();
    EXPECT_EQ(h0.socket.receive(), frame) << "shifted by " << shift;
  }
}

TEST(AfXdpPort, SendsMoreInOneTurnThanItsRingHolds) {
  MILLRACE_NEEDS_ROOT();
  const OnePod h0(4096, 128);
  constexpr std::uint32_t kPackets = 3000;
  for (std::uint32_t sent = 0; sent < kPackets;) {
    std::array<net::Packet*, kBurst> burst;
    for (net::Packet*& packet : burst) {
      packet = h0.pool->allocate();
      ASSERT_NE(packet, nullptr);
      const Frame frame = numbered_frame(sent++, 80);
      write_frame(*packet, frame);
    }
    ASSERT_EQ(h0.port->transmit(burst), kBurst) << "the port makes room by itself";
  }
  h0.port->flush();
  EXPECT_FALSE(h0.port->pending());
  for (std::uint32_t i = 0; i < kPackets; ++i) ASSERT_EQ(number_of(h0.socket.receive()), i);
}

TEST(AfXdpPort, CountsWhatItsRingsCouldNotHoldAndLosesNoFrame) {
  MILLRACE_NEEDS_ROOT();
  OnePod h0(1024, 64);
  constexpr unsigned kPackets = 500;
  for (std::uint32_t i = 0; i < kPackets; ++i) ASSERT_TRUE(h0.socket.send(numbered_frame(i, 60)));
  std::array<net::Packet*, kBurst> burst;
  unsigned received = 0;
  while (const unsigned n = h0.port->receive(burst)) {
    for (unsigned i = 0; i < n; ++i) {
      EXPECT_EQ(number_of(Frame(burst[i]->data, burst[i]->data + 60)), received + i) << "the first ones, in order";
    }
    received += n;
    h0.pool->release(std::span(burst).first(n));
  }
  const AfXdpStatistics lost = h0.port->statistics();
  EXPECT_GE(received, 64u);
  EXPECT_EQ(received + lost.rx_dropped, kPackets);
  EXPECT_EQ(lost.rx_no_frames + lost.rx_ring_full, lost.rx_dropped);
  // And the port goes on.
  ASSERT_TRUE(h0.socket.send(numbered_frame(9999, 60)));
  unsigned n = 0;
  ASSERT_TRUE(tests::step_until([&] { n = h0.port->receive(burst); }, [&] { return n != 0; }));
  EXPECT_EQ(number_of(Frame(burst[0]->data, burst[0]->data + 60)), 9999u);
  h0.pool->release(std::span(burst).first(n));
  h0.port.reset();
  EXPECT_EQ(h0.pool->free_count(), 1024u);
}

TEST(AfXdpPort, DescriptorBecomesReadableWhenAPacketWaits) {
  MILLRACE_NEEDS_ROOT();
  const OnePod h0(1024);
  pollfd wait{.fd = h0.port->wait_fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&wait, 1, 0), 0) << "nothing came yet";
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(h0.socket.send(numbered_frame(1, 60)));
    ASSERT_EQ(::poll(&wait, 1, 2000), 1);
    EXPECT_EQ(wait.revents, POLLIN);
    EXPECT_EQ(::poll(&wait, 1, 0), 1) << "as long as the packet waits";
    std::array<net::Packet*, kBurst> burst;
    ASSERT_EQ(h0.port->receive(burst), 1u);
    h0.pool->release(std::span(burst).first(1));
    EXPECT_EQ(::poll(&wait, 1, 0), 0);
  }
}

TEST(AfXdpPort, GenericModeServesWhereNativeIsNotPossible) {
  MILLRACE_NEEDS_ROOT();
  const Pod pod("h0"), other("h1");
  pod.netns().run([] { tests::shell("ip link set eth0 mtu 9000"); });  // too large for a native program on its peer
  const auto pool = make_pool(1024);
  const auto port = open_port(*pool, "h0"), out = open_port(*pool, "h1");
  EXPECT_EQ(port->mode(), XdpMode::kGeneric);
  EXPECT_EQ(out->mode(), XdpMode::kNative);
  const tests::Forwarder forwarder(*pool, *port, *out);
  const RawSocket here(pod), there(other);
  ASSERT_TRUE(here.send(numbered_frame(1, 1514)));
  EXPECT_EQ(there.receive(), numbered_frame(1, 1514));
  ASSERT_TRUE(there.send(numbered_frame(2, 300)));
  EXPECT_EQ(here.receive(), numbered_frame(2, 300));
}

/// The numbers of the two interfaces are in different slots of the program's map, or in the same one.
TEST(AfXdpPort, PortsThatShareAProgramEachGetTheirOwnPackets) {
  MILLRACE_NEEDS_ROOT();
  const auto pool = make_pool(2048);
  for (const unsigned distance : {1u, 65536u}) {
    SCOPED_TRACE(distance);
    const Pod left("h0", "index 1000"), right("h1", fmt::format("index {}", 1000 + distance));
    const auto program = XdpProgram::load();
    ASSERT_TRUE(program.ok()) << program.error().message;
    const auto shared_port = [&](const char* interface) {
      return AfXdpPort::open(*pool, {.interface = interface, .program = *program});
    };
    const auto in = shared_port("h0");
    ASSERT_TRUE(in.ok()) << in.error().message;
    for (std::uint32_t round = 0; round < 2; ++round) {  // the second time after a port has left the program
      const auto out = shared_port("h1");
      ASSERT_TRUE(out.ok()) << out.error().message;
      const tests::Forwarder forwarder(*pool, **in, **out);
      const RawSocket here(left), there(right);
      ASSERT_TRUE(here.send(numbered_frame(round, 1514)));
      EXPECT_EQ(there.receive(), numbered_frame(round, 1514));
      ASSERT_TRUE(there.send(numbered_frame(100 + round, 300)));
      EXPECT_EQ(here.receive(), numbered_frame(100 + round, 300));
    }
  }
  EXPECT_EQ(pool->free_count(), 2048u);
}

struct Refusal {
  const char* name;
  AfXdpOptions options;
  net::ErrorCode code;
  const char* says;
};

TEST(AfXdpPort, RefusesWithASentenceThatHelps) {
  MILLRACE_NEEDS_ROOT();
  const Pod pod("h0"), jumbo("h1", "mtu 9000"), taken("h2");
  const auto pool = make_pool(2048);
  const auto holder = open_port(*pool, "h2");
  const Refusal table[] = {
      {"missing", {.interface = "nosuch0"}, net::ErrorCode::kNotFound, "no interface nosuch0"},
      {"empty name", {.interface = ""}, net::ErrorCode::kNotFound, "no interface"},
      {"long name", {.interface = std::string(300, 'x')}, net::ErrorCode::kNotFound, "no interface xxx"},
      {"ring",
       {.interface = "h0", .rx_ring_size = 1000},
       net::ErrorCode::kInvalidArgument,
       "rx_ring_size is 1000: a power of two from 64 to 32768"},
      {"small ring", {.interface = "h0", .tx_ring_size = 2}, net::ErrorCode::kInvalidArgument, "tx_ring_size is 2"},
      {"mtu",
       {.interface = "h1"},
       net::ErrorCode::kFailedPrecondition,
       "interface h1 has an MTU of 9000 bytes, packets of the pool hold 1578"},
      {"in use", {.interface = "h2"}, net::ErrorCode::kFailedPrecondition, "another process has a socket"},
  };
  const std::uint32_t free_before = pool->free_count();
  for (const Refusal& row : table) {
    const auto port = AfXdpPort::open(*pool, row.options);
    ASSERT_FALSE(port.ok()) << row.name;
    EXPECT_EQ(port.error().code, row.code) << row.name << ": " << port.error().message;
    EXPECT_NE(port.error().message.find(row.says), std::string::npos) << row.name << ": " << port.error().message;
  }
  const auto queues = AfXdpPort::open_queues(*pool, {.interface = "h0"}, 2);
  ASSERT_FALSE(queues.ok()) << "h0 has one";
  EXPECT_NE(queues.error().message.find("h0: queue 1: Invalid argument"), std::string::npos) << queues.error().message;
  EXPECT_EQ(pool->free_count(), free_before);
}

}  // namespace
}  // namespace millrace::datapath::io
