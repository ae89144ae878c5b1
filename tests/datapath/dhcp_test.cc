// DHCP between pods and the host port: one row a frame, through real workers.
#include "datapath/dhcp.h"

#include <gtest/gtest.h>

#include "tests/datapath/test_switch.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::DhcpMessage;
using net::Drop;

constexpr net::PortId kClient = 1, kOther = 2, kPlain = 3, kHost = 4;
constexpr const char* kHostMac = "02:00:00:00:00:ff";
constexpr const char* kUnknownMac = "02:00:00:00:00:77";

/// A message, right as a client's DISCOVER or as the OFFER that answers it, unless a row says otherwise.
struct Message {
  std::uint8_t op = DhcpMessage::kFromClient;
  std::uint8_t hardware_type = 1, hardware_length = 6, hops = 0;
  std::string chaddr = pod_mac(3);
  const char* ciaddr = "0.0.0.0";
  const char* yiaddr = "0.0.0.0";
  const char* giaddr = "0.0.0.0";
  std::uint32_t cookie = DhcpMessage::kCookie;
  std::size_t bytes = sizeof(DhcpMessage) + 4;

  operator Bytes() const {  // NOLINT(google-explicit-constructor)
    DhcpMessage message{};
    message.op = op;
    message.hardware_type = hardware_type;
    message.hardware_length = hardware_length;
    message.hops = hops;
    message.chaddr = mac(chaddr);
    message.ciaddr = v4(ciaddr);
    message.yiaddr = v4(yiaddr);
    message.giaddr = v4(giaddr);
    message.cookie = net::Be32(cookie);
    constexpr std::array<std::uint8_t, 4> kOptions = {53, 1, 1, 255};  // option 53, DISCOVER; the end
    Bytes all(sizeof message + kOptions.size());
    std::memcpy(all.data(), &message, sizeof message);
    std::memcpy(all.data() + sizeof message, kOptions.data(), kOptions.size());
    all.resize(bytes);
    return all;
  }
};

Message offer() { return {.op = DhcpMessage::kFromServer, .yiaddr = "10.95.0.10"}; }

struct Frame {
  std::string source_mac = pod_mac(3);
  std::string_view destination_mac = kBroadcastMac;
  const char* source = "0.0.0.0";
  const char* destination = "255.255.255.255";
  std::uint16_t source_port = 68, destination_port = 67;
  bool is_tagged = false, is_fragment = false;

  Bytes with(const Bytes& message) const {
    PacketBuilder frame = eth(source_mac, destination_mac);
    if (is_tagged) frame.vlan(7);
    frame.ipv4(source, destination).ttl(64);
    if (is_fragment) frame.fragment(0, true);
    return frame.udp(source_port, destination_port).payload(message).bytes();
  }
};

Frame from_server() {
  return {.source_mac = kHostMac, .source = "192.0.2.1", .source_port = 67, .destination_port = 68};
}

/// The frame as it leaves: nothing but the MACs is another.
Bytes readdressed(Bytes frame, std::string_view destination) {
  const net::Mac to = mac(destination), from = mac(kGatewayMac);
  std::copy(to.bytes.begin(), to.bytes.end(), frame.begin());
  std::copy(from.bytes.begin(), from.bytes.end(), frame.begin() + 6);
  return frame;
}

/// Pods 3 and 4 with DHCP, pod 5 without, the host on a worker of its own.
class Dhcp : public testing::Test {
 protected:
  void SetUp() override {
    world_.add_pod(kClient, 3).dhcp = true;
    world_.add_pod(kOther, 4).dhcp = true;
    world_.add_pod(kPlain, 5);
    world_.add_host(kHost, 1);
    world_.publish();
  }

  struct Row {
    const char* name;
    net::PortId in_port;
    Bytes frame;
    net::PortId out_port = net::kNoPort;  // kNoPort: it is dropped
    Drop drop = Drop::kNone;
  };

  void check(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      SCOPED_TRACE(row.name);
      const std::uint64_t before = row.drop == Drop::kNone ? 0 : world_.drops(row.drop);
      ASSERT_TRUE(world_.send(row.in_port, row.frame));
      world_.run();
      for (const net::PortId port : {kClient, kOther, kPlain, kHost}) {
        const auto got = world_.receive(port);
        ASSERT_EQ(got.size(), port == row.out_port ? 1U : 0U) << "port " << port << ": " << world_.drop_text();
        if (got.empty()) continue;
        const Bytes wanted = readdressed(row.frame, port == kHost    ? kBroadcastMac
                                                    : port == kOther ? pod_mac(4)
                                                                     : pod_mac(3));
        EXPECT_EQ(describe(got[0]), describe(wanted));
        EXPECT_EQ(got[0], wanted);
      }
      if (row.drop != Drop::kNone) { EXPECT_EQ(world_.drops(row.drop), before + 1) << world_.drop_text(); }
      world_.check_law();
    }
  }

  TestSwitch world_{{.workers = 2}};
};

TEST_F(Dhcp, AClientsBroadcastLeavesByTheHostPortAlone) {
  check({
      {"DISCOVER", kClient, Frame{}.with(Message{}), kHost},
      {"renewal, from its own address", kClient, Frame{.source = "10.244.0.3"}.with(Message{.ciaddr = "10.244.0.3"}),
       kHost},
      {"release, its own address in ciaddr alone", kClient, Frame{}.with(Message{.ciaddr = "10.244.0.3"}), kHost},
      {"of another pod", kOther, Frame{.source_mac = pod_mac(4)}.with(Message{.chaddr = pod_mac(4)}), kHost},
      {"without options", kClient, Frame{}.with(Message{.bytes = sizeof(DhcpMessage)}), kHost},
  });
}

TEST_F(Dhcp, AServersMessageGoesToTheClientItNames) {
  check({
      {"OFFER, broadcast", kHost, from_server().with(offer()), kClient},
      {"OFFER, to the client's MAC and its address to be", kHost,
       Frame{.source_mac = kHostMac,
             .destination_mac = "02:00:00:00:00:03",
             .source = "192.0.2.1",
             .destination = "10.95.0.10",
             .source_port = 67,
             .destination_port = 68}
           .with(offer()),
       kClient},
      {"ACK of a renewal, to the address it has", kHost,
       Frame{.source_mac = kHostMac,
             .destination_mac = "02:00:00:00:00:03",
             .source = "192.0.2.1",
             .destination = "10.244.0.3",
             .source_port = 67,
             .destination_port = 68}
           .with(Message{.op = 2, .ciaddr = "10.244.0.3"}),
       kClient},
      {"NAK to the other pod", kHost, from_server().with(Message{.op = 2, .chaddr = pod_mac(4)}), kOther},
  });
}

TEST_F(Dhcp, WhatAClientMayNotSend) {
  const auto refused = [&](const char* name, const Frame& frame, const Message& message, Drop drop) {
    return Row{name, kClient, frame.with(message), net::kNoPort, drop};
  };
  check({
      refused("another's MAC in the frame", {.source_mac = pod_mac(4)}, {}, Drop::kSpoofedMac),
      refused("another's MAC in chaddr", {}, {.chaddr = pod_mac(4)}, Drop::kSpoofedMac),
      refused("another's source address", {.source = "10.244.0.4"}, {}, Drop::kSpoofedAddress),
      refused("another's address in ciaddr, to release its lease", {}, {.ciaddr = "10.244.0.4"}, Drop::kSpoofedAddress),
      refused("as a relay", {}, {.giaddr = "10.244.0.3"}, Drop::kDhcpBad),
      refused("as if relayed", {}, {.hops = 1}, Drop::kDhcpBad),
      refused("a server's message", {}, offer(), Drop::kDhcpBad),
      refused("not Ethernet", {}, {.hardware_type = 6}, Drop::kDhcpBad),
      refused("MAC of another length", {}, {.hardware_length = 16}, Drop::kDhcpBad),
      refused("BOOTP without the cookie", {}, {.cookie = 0}, Drop::kDhcpBad),
      refused("a byte short", {}, {.bytes = sizeof(DhcpMessage) - 1}, Drop::kDhcpBad),
      refused("empty", {}, {.bytes = 0}, Drop::kDhcpBad),
      refused("not a broadcast frame", {.destination_mac = kGatewayMac}, {}, Drop::kDhcpBad),
      refused("a multicast frame", {.destination_mac = "01:00:5e:00:00:01"}, {}, Drop::kDhcpBad),
      refused("tagged", {.is_tagged = true}, {}, Drop::kVlanOnPod),
      refused("a fragment", {.is_fragment = true}, {.bytes = 248}, Drop::kSpoofedAddress),
      refused("from another port", {.source_port = 1068}, {}, Drop::kSpoofedAddress),
      refused("to another port", {.destination_port = 69}, {}, Drop::kSpoofedAddress),
      refused("to one host from no address", {.destination = "192.0.2.1"}, {}, Drop::kSpoofedAddress),
      refused("as a server", {.source_port = 67, .destination_port = 68}, offer(), Drop::kSpoofedAddress),
      refused("as a server from its own address", {.source = "10.244.0.3", .source_port = 67, .destination_port = 68},
              offer(), Drop::kMulticast),
      Row{"a pod without DHCP", kPlain, Frame{.source_mac = pod_mac(5)}.with(Message{.chaddr = pod_mac(5)}),
          net::kNoPort, Drop::kSpoofedAddress},
  });
}

TEST_F(Dhcp, WhatAServerMayNotSend) {
  const auto refused = [&](const char* name, Frame frame, const Message& message, Drop drop) {
    return Row{name, kHost, frame.with(message), net::kNoPort, drop};
  };
  const auto changed = [](auto change) {
    Frame frame = from_server();
    change(frame);
    return frame;
  };
  Message to_unknown = offer(), to_plain = offer(), bare = offer(), wide = offer(), piece = offer(), large = offer();
  to_unknown.chaddr = kUnknownMac;
  to_plain.chaddr = pod_mac(5);
  bare.bytes = sizeof(DhcpMessage) - 1;
  wide.hardware_length = 8;
  piece.bytes = 248;
  large.bytes = 1480;
  check({
      refused("a MAC that no port has", from_server(), to_unknown, Drop::kDhcpNoPort),
      refused("a pod without DHCP", from_server(), to_plain, Drop::kDhcpNoPort),
      refused("a client's message", from_server(), {.op = 1}, Drop::kDhcpBad),
      refused("a byte short", from_server(), bare, Drop::kDhcpBad),
      refused("MAC of another length", from_server(), wide, Drop::kDhcpBad),
      refused("from a MAC that is not the node's", changed([](Frame& f) { f.source_mac = kUnknownMac; }), offer(),
              Drop::kSpoofedMac),
      refused("from no address", changed([](Frame& f) { f.source = "0.0.0.0"; }), offer(), Drop::kBadSource),
      refused("to another MAC", changed([](Frame& f) { f.destination_mac = "02:00:00:00:00:04"; }), offer(),
              Drop::kNotForGateway),
      refused("to another's address", changed([](Frame& f) { f.destination = "10.244.0.4"; }), offer(), Drop::kDhcpBad),
      refused("tagged", changed([](Frame& f) { f.is_tagged = true; }), offer(), Drop::kVlanOnPod),
      refused("a fragment", changed([](Frame& f) { f.is_fragment = true; }), piece, Drop::kMulticast),
      refused("larger than the pod's MTU", from_server(), large, Drop::kPacketTooBig),
  });
}

TEST_F(Dhcp, ByUnicastItIsRoutedLikeAnyPacket) {
  ASSERT_TRUE(world_.send(
      kClient, Frame{.destination_mac = kGatewayMac, .source = "10.244.0.3", .destination = "192.0.2.1"}.with(
                   Message{.ciaddr = "10.244.0.3"})));
  world_.run();
  const auto asked = world_.receive(kHost);
  ASSERT_EQ(asked.size(), 1U) << world_.drop_text();
  EXPECT_EQ(asked[0][22], 63) << "a hop was taken from its TTL";
  Frame reply = from_server();
  reply.destination_mac = kGatewayMac;
  reply.destination = "10.244.0.3";
  ASSERT_TRUE(world_.send(kHost, reply.with(Message{.op = 2, .ciaddr = "10.244.0.3"})));
  world_.run();
  EXPECT_EQ(world_.receive(kClient).size(), 1U) << world_.drop_text();
}

TEST_F(Dhcp, AFloodIsLimitedAndOtherTrafficIsNot) {
  for (unsigned i = 0; i < kDhcpBurst + 3; ++i) {
    ASSERT_TRUE(world_.send(kClient, Frame{}.with(Message{})));
    world_.run();
    EXPECT_EQ(world_.receive(kHost).size(), i < kDhcpBurst ? 1U : 0U) << i;
  }
  EXPECT_EQ(world_.drops(Drop::kDhcpRateLimited), 3U);
  world_.now_ns += 1'000'000'000 / kDhcpPerSecond;
  ASSERT_TRUE(world_.send(kClient, Frame{}.with(Message{})));
  world_.run();
  EXPECT_EQ(world_.receive(kHost).size(), 1U);
  world_.check_law();
}

TEST_F(Dhcp, WithoutAHostPortThereIsNoServer) {
  world_.remove(kHost);
  world_.publish();
  ASSERT_TRUE(world_.send(kClient, Frame{}.with(Message{})));
  world_.run();
  EXPECT_EQ(world_.drops(Drop::kDhcpNoPort), 1U) << world_.drop_text();
  world_.check_law();
}

TEST_F(Dhcp, APortThatHasNoAddressYetMaySendNothingElse) {
  TestSwitch bare{{.workers = 1}};
  PortSpec& pod = bare.add_pod(kClient, 3);
  pod.addresses.clear();
  pod.dhcp = true;
  bare.add_host(kHost);
  bare.publish();
  ASSERT_TRUE(bare.send(kClient, Frame{}.with(Message{})));
  ASSERT_TRUE(bare.send(kClient, eth(pod_mac(3), kGatewayMac).ipv4("10.244.0.3", "192.0.2.1").udp(1, 2).bytes()));
  bare.run();
  EXPECT_EQ(bare.receive(kHost).size(), 1U);
  EXPECT_EQ(bare.drops(Drop::kSpoofedAddress), 1U) << bare.drop_text();
}

}  // namespace
}  // namespace millrace::datapath
