// Checksums and segments left to the switch: what stays whole, what is cut, where, and what becomes of those that lie.
#include <gtest/gtest.h>

#include <algorithm>

#include "net/offload.h"
#include "tests/datapath/flow_world.h"
#include "tests/datapath/tunnel_world.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;
using net::TcpHeader;

constexpr net::PortId kClient = 1, kServer = 2, kSmall = 3, kHost = 4;
constexpr std::uint16_t kGsoBytes = 1400;
constexpr net::Offload kToBeCut{.checksum_partial = true, .gso_size_bytes = kGsoBytes};
constexpr TxOffload kTakesAll{.checksum = true, .tcp4 = true, .tcp6 = true};

PacketBuilder from_pod(unsigned pod) { return eth(pod_mac(pod), kGatewayMac); }

/// What follows IP, with a handshake's first packet before it.
Bytes syn(PacketBuilder l3) { return l3.tcp(1000, 80, TcpHeader::kSyn).sequence(99, 0).bytes(); }
Bytes data(PacketBuilder l3, std::size_t bytes) {
  return l3.tcp(1000, 80).sequence(100, 1).partial_checksum().payload(bytes).bytes();
}

/// The payloads of frames that must be right in all else, in one.
Bytes joined_payload(const std::vector<Bytes>& frames) {
  Bytes joined;
  for (const Bytes& frame : frames) {
    TestPacket packet(frame);
    EXPECT_EQ(packet.parse(), Drop::kNone);
    EXPECT_TRUE(net::l4_checksum_is_right(packet->head(), packet->headers)) << describe(frame);
    EXPECT_LE(net::payload_bytes(*packet), kGsoBytes);
    joined.insert(joined.end(), frame.begin() + packet->headers.payload_offset, frame.end());
  }
  return joined;
}

Bytes counting(std::size_t count) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(i);
  return bytes;
}

/// With one worker, and with the ports on two.
class OffloadWorld : public testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    const auto last = static_cast<WorkerId>(GetParam() - 1);
    describe_nat(world_);
    world_.add_pod(kClient, 3).masquerade = true;
    world_.add_pod(kServer, 4, last);
    world_.add_pod(kSmall, 5, last).mtu_bytes = 1280;
    world_.add_host(kHost, last);
    world_.services = {service_to("10.96.0.10", net::ip_protocol::kTcp, 80, {pod_v4(4)}, 8080),
                       service_to("10.96.0.11", net::ip_protocol::kTcp, 80, {}, 8080)};
    world_.publish();
  }
  void TearDown() override {
    for (const net::PortId id : world_.ports()) world_.receive(id);
    world_.check_law();
    EXPECT_EQ(world_.pool().free_count(), world_.pool().size()) << "packets were lost";
  }
  void connect(const PacketBuilder& l3) {
    ASSERT_TRUE(world_.send(kClient, syn(l3)));
    world_.run();
    for (const net::PortId id : world_.ports()) world_.receive(id);
  }
  bool send_data(const PacketBuilder& l3, std::size_t bytes, const net::Offload& offload = kToBeCut) {
    const bool is_sent = world_.send(kClient, data(l3, bytes), offload);
    world_.run();
    return is_sent;
  }
  TestSwitch world_{{.workers = GetParam()}};
};

INSTANTIATE_TEST_SUITE_P(Workers, OffloadWorld, testing::Values(1u, 2u));

struct Way {
  const char* name;
  PacketBuilder l3;
  net::PortId out;
  const char* tuple;
};

std::vector<Way> ways() {
  return {{"pod to pod", from_pod(3).ipv4(pod_v4(3), pod_v4(4)), kServer, "tcp 10.244.0.3:1000 > 10.244.0.4:80"},
          {"pod to pod, IPv6", from_pod(3).ipv6(pod_v6(3), pod_v6(4)), kServer,
           "tcp fd00:10:244::3:1000 > fd00:10:244::4:80"},
          {"a service", from_pod(3).ipv4(pod_v4(3), "10.96.0.10"), kServer, "tcp 10.244.0.3:1000 > 10.244.0.4:8080"},
          {"the world, masqueraded", from_pod(3).ipv4(pod_v4(3), "198.51.100.1"), kHost, "tcp 192.0.2.1:"}};
}

TEST_P(OffloadWorld, WhatAPortDoesNotTakeIsCut) {
  for (const Way& way : ways()) {
    connect(way.l3);
    ASSERT_TRUE(send_data(way.l3, 5000));
    const std::vector<Bytes> frames = world_.receive(way.out);
    ASSERT_EQ(frames.size(), 4u) << way.name << " " << world_.drop_text();
    for (const Bytes& frame : frames) EXPECT_TRUE(tuple_text(frame).starts_with(way.tuple)) << tuple_text(frame);
    EXPECT_EQ(joined_payload(frames), counting(5000)) << way.name;
  }
  EXPECT_EQ(world_.sum(&PortCounters::created), 3u * ways().size());
}

TEST_P(OffloadWorld, WhatAPortTakesStaysWhole) {
  for (const net::PortId id : {kServer, kHost}) world_.device(id).set_tx_offload(kTakesAll);
  for (const Way& way : ways()) {
    connect(way.l3);
    ASSERT_TRUE(send_data(way.l3, 60'000));
    const std::vector<Sent> sent = world_.receive_sent(way.out);
    ASSERT_EQ(sent.size(), 1u) << way.name << " " << world_.drop_text();
    EXPECT_EQ(sent[0].offload.gso_size_bytes, kGsoBytes);
    EXPECT_TRUE(sent[0].offload.checksum_partial);
    TestPacket packet(sent[0].frame);
    ASSERT_EQ(packet.parse(), Drop::kNone);
    EXPECT_TRUE(tuple_text(sent[0].frame).starts_with(way.tuple));
    EXPECT_TRUE(net::l4_checksum_is_partial(packet->head(), packet->headers)) << "that of the new addresses";
    EXPECT_EQ(Bytes(sent[0].frame.end() - 60'000, sent[0].frame.end()), counting(60'000));
  }
  EXPECT_EQ(world_.sum(&PortCounters::created), 0u);
}

TEST_P(OffloadWorld, APortTakesTheFamilyThatItNames) {
  const Way v4 = ways()[0], v6 = ways()[1];
  connect(v4.l3);
  connect(v6.l3);
  struct Row {
    TxOffload takes;
    std::size_t frames_v4, frames_v6;
  };
  for (const Row& row : {Row{{.checksum = true}, 4, 4}, Row{{.checksum = true, .tcp4 = true}, 1, 4},
                         Row{{.checksum = true, .tcp6 = true}, 4, 1}, Row{{.tcp4 = true, .tcp6 = true}, 4, 4}}) {
    world_.device(kServer).set_tx_offload(row.takes);
    ASSERT_TRUE(send_data(v4.l3, 5000));
    EXPECT_EQ(world_.receive(kServer).size(), row.frames_v4);
    ASSERT_TRUE(send_data(v6.l3, 5000));
    EXPECT_EQ(world_.receive(kServer).size(), row.frames_v6);
  }
}

TEST_P(OffloadWorld, AChecksumStaysPartialForAPortThatTakesIt) {
  struct Row {
    const char* name;
    PacketBuilder packet;
    net::Offload offload;  // {}: the field alone says that it is partial, as AF_XDP has it
    bool is_left;
  };
  const auto l3 = [] { return from_pod(3).ipv4(pod_v4(3), pod_v4(4)); };
  const auto l3_v6 = [] { return from_pod(3).ipv6(pod_v6(3), pod_v6(4)); };
  for (const Row& row :
       {Row{"UDP, told", l3().udp(1, 2).partial_checksum().payload(9u), {.checksum_partial = true}, true},
        Row{"UDP, found", l3().udp(3, 4).partial_checksum().payload(9u), {}, true},
        Row{"UDP over IPv6", l3_v6().udp(1, 2).partial_checksum().payload(9u), {.checksum_partial = true}, true},
        Row{"complete", l3().udp(5, 6).payload(9u), {}, false}}) {
    for (const bool takes : {true, false}) {
      world_.device(kServer).set_tx_offload({.checksum = takes});
      ASSERT_TRUE(world_.send(kClient, row.packet.bytes(), row.offload));
      world_.run();
      const std::vector<Sent> sent = world_.receive_sent(kServer);
      ASSERT_EQ(sent.size(), 1u) << row.name << " " << world_.drop_text();
      EXPECT_EQ(sent[0].offload.checksum_partial, takes && row.is_left) << row.name;
      TestPacket packet(sent[0].frame);
      ASSERT_EQ(packet.parse(), Drop::kNone);
      EXPECT_EQ(net::l4_checksum_is_partial(packet->head(), packet->headers), takes && row.is_left) << row.name;
      EXPECT_EQ(net::l4_checksum_is_right(packet->head(), packet->headers), !takes || !row.is_left) << row.name;
    }
  }
}

TEST_P(OffloadWorld, TheMtuIsHeldAgainstOnePiece) {
  const auto l3 = [] { return from_pod(3).ipv4(pod_v4(3), pod_v4(5)).dont_fragment(); };
  connect(l3());
  ASSERT_TRUE(send_data(l3(), 5000, {.checksum_partial = true, .gso_size_bytes = 1240}));
  EXPECT_EQ(world_.receive(kSmall).size(), 5u) << "headers and 1240 bytes are 1280";
  ASSERT_TRUE(send_data(l3(), 5000, {.checksum_partial = true, .gso_size_bytes = 1241}));
  EXPECT_TRUE(world_.receive(kSmall).empty());
  EXPECT_EQ(world_.drops(Drop::kPacketTooBig), 1u);
  const std::vector<Bytes> errors = world_.receive(kClient);
  ASSERT_EQ(errors.size(), 1u) << "fragmentation needed";
  TestPacket error(errors[0]);
  ASSERT_EQ(error.parse(), Drop::kNone);
  EXPECT_EQ(error->headers.icmp_type, net::icmp_type::kUnreachable);
  const auto& icmp =
      net::view<net::IcmpHeader>(static_cast<const std::uint8_t*>(error->data) + error->headers.l4_offset);
  EXPECT_EQ(icmp.sequence.host(), 1280u);
  EXPECT_TRUE(net::l4_checksum_is_right(error->head(), error->headers));
}

TEST_P(OffloadWorld, PiecesThatMayBeFragmentedAre) {
  const auto l3 = [] { return from_pod(3).ipv4(pod_v4(3), pod_v4(5)); };
  for (const TxOffload& takes : {TxOffload{}, kTakesAll}) {
    world_.device(kSmall).set_tx_offload(takes);
    connect(l3());
    ASSERT_TRUE(send_data(l3(), 2 * kGsoBytes));
    const std::vector<Bytes> frames = world_.receive(kSmall);
    ASSERT_EQ(frames.size(), 4u) << world_.drop_text();
    for (const Bytes& frame : frames) EXPECT_LE(frame.size(), 14u + 1280u);
    EXPECT_TRUE(tuple_text(frames[0]).ends_with(" first fragment"));
    EXPECT_TRUE(tuple_text(frames[3]).ends_with(" later fragment"));
  }
}

TEST_P(OffloadWorld, ErrorsAndResetsAreAboutTheWhole) {
  const auto l3 = [] { return from_pod(3).ipv4(pod_v4(3), pod_v4(4)); };
  connect(l3());
  ASSERT_TRUE(world_.send(kClient, data(l3().ttl(1), 9000), kToBeCut));
  world_.run();
  EXPECT_EQ(world_.drops(Drop::kTtlExceeded), 1u);
  EXPECT_EQ(world_.receive(kClient).size(), 1u) << "time exceeded " << world_.drop_text();
  ASSERT_TRUE(world_.send(kClient, data(from_pod(3).ipv4(pod_v4(3), "169.254.1.1"), 9000), kToBeCut));
  ASSERT_TRUE(world_.send(kClient, data(from_pod(3).ipv4(pod_v4(7), pod_v4(4)), 9000), kToBeCut));
  world_.run();
  EXPECT_EQ(world_.drops(Drop::kGatewayProtocol), 1u);
  EXPECT_EQ(world_.drops(Drop::kSpoofedAddress), 1u);
  EXPECT_TRUE(world_.receive(kClient).empty());
}

TEST_P(OffloadWorld, WhatIsSaidIsNotBelieved) {
  const auto l3 = [] { return from_pod(3).ipv4(pod_v4(3), pod_v4(4)); };
  connect(l3());
  for (const net::Offload& offload :
       {net::Offload{}, net::Offload{.checksum_partial = true},
        net::Offload{.checksum_partial = true, .gso_size_bytes = 1}, net::Offload{.gso_size_bytes = 1400},
        net::Offload{.checksum_partial = true, .gso_size_bytes = 65'535}}) {
    ASSERT_TRUE(send_data(l3(), 60'000, offload));
  }
  ASSERT_TRUE(world_.send(kClient, l3().udp(1, 2).partial_checksum().payload(5000u).bytes(), kToBeCut));
  world_.run();
  EXPECT_EQ(world_.drops(Drop::kOffloadBad), 6u) << world_.drop_text();
  EXPECT_TRUE(world_.receive(kServer).empty());
}

TEST_P(OffloadWorld, AnEmptyPoolAndAFullRingAreCounted) {
  const auto l3 = [] { return from_pod(3).ipv4(pod_v4(3), pod_v4(4)); };
  connect(l3());
  ASSERT_TRUE(world_.send(kClient, data(l3(), 28'000), kToBeCut));
  std::vector<net::Packet*> held;
  while (world_.pool().free_count() > 5) held.push_back(world_.pool().allocate());
  world_.run();
  EXPECT_EQ(world_.drops(Drop::kNoBuffers), 1u);
  EXPECT_EQ(world_.receive(kServer).size(), 5u);
  world_.pool().release(held);
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(world_.send(kClient, data(l3(), 28'000), kToBeCut));
  world_.run();
  EXPECT_EQ(world_.drops(Drop::kNoBuffers), 1u);
  EXPECT_EQ(world_.drops(Drop::kTxRingFull) + world_.receive(kServer).size(), 60u * 20u);
  EXPECT_GT(world_.drops(Drop::kTxRingFull), 0u);
}

/// In front of a tunnel it is cut, and the tunnel goes round each piece.
TEST(OffloadTunnel, GoesRoundEachPiece) {
  for (const bool is_over_v6 : {false, true}) {
    for (const unsigned workers : {1u, 2u}) {
      TunnelPair pair({.workers = workers, .is_over_v6 = is_over_v6});
      const net::PortId from = TunnelNode::pod_port(1), to = TunnelNode::pod_port(2);
      for (const bool is_v4 : {true, false}) {
        const PacketBuilder l3 = is_v4 ? from_pod(1).ipv4(TunnelNode::pod_v4(1, 1), TunnelNode::pod_v4(2, 2))
                                       : from_pod(1).ipv6(TunnelNode::pod_v6(1, 1), TunnelNode::pod_v6(2, 2));
        ASSERT_TRUE(pair.a->send(from, syn(l3)));
        pair.carry();
        pair.b->receive(to);
        const net::Offload offload{.checksum_partial = true, .gso_size_bytes = 1300};
        ASSERT_TRUE(pair.a->send(from, data(l3, 5000), offload));
        for (const Bytes& frame : pair.carry()) EXPECT_LE(frame.size(), 1514u);
        const std::vector<Bytes> frames = pair.b->receive(to);
        ASSERT_EQ(frames.size(), 4u) << pair.a->drop_text() << pair.b->drop_text();
        EXPECT_EQ(joined_payload(frames), counting(5000));
      }
      EXPECT_EQ(pair.a->pool().free_count(), pair.a->pool().size());
    }
  }
}

}  // namespace
}  // namespace millrace::datapath
