// Services and masquerade, packet in -> packet out, over the whole pipeline; each row says what leaves and by which
// port.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "net/ip_header.h"
#include "tests/datapath/test_switch.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;

constexpr net::PortId kClient = 1, kServer = 2, kOther = 3, kHost = 4;
constexpr const char* kClusterIp = "10.96.0.10";
constexpr const char* kClusterIp6 = "fd00:10:96::10";

std::string endpoint(const auto& address, std::uint16_t port) {
  return fmt::format("{}:{}", address.to_string(), port);
}

/// "udp 10.0.0.1:1 > 10.0.0.2:2", and "bad checksum" where it is.
std::string tuple_of(const Bytes& frame) {
  TestPacket packet(frame);
  if (packet.parse() != Drop::kNone) return "does not parse";
  const net::Headers& headers = packet->headers;
  const char* name = headers.l4_protocol == net::ip_protocol::kTcp    ? "tcp"
                     : headers.l4_protocol == net::ip_protocol::kUdp  ? "udp"
                     : headers.l4_protocol == net::ip_protocol::kSctp ? "sctp"
                                                                      : "icmp";
  std::string text;
  if (headers.l3 == net::L3::kIpv4) {
    const net::Ipv4Header& ip = net::ipv4(*packet);
    text = fmt::format("{} {} > {}", name, endpoint(ip.source, headers.source_port),
                       endpoint(ip.destination, headers.destination_port));
    if (!net::ipv4_checksum_is_right(ip)) text += " bad header checksum";
  } else {
    const net::Ipv6Header& ip = net::ipv6(*packet);
    text = fmt::format("{} {} > {}", name, endpoint(ip.source, headers.source_port),
                       endpoint(ip.destination, headers.destination_port));
  }
  if (headers.has_l4 && !headers.is_fragment && !net::l4_checksum_is_right(packet->head(), headers)) {
    text += " bad checksum";
  }
  return text;
}

nat::FrontendRule balance(std::uint16_t set, bool masquerade = false) {
  return {nat::FrontendAction::kBalance, set, masquerade};
}

nat::ServiceSpec service(std::string_view address, std::uint8_t protocol, std::uint16_t port,
                         std::vector<nat::Backend> backends) {
  nat::ServiceSpec spec;
  spec.name = fmt::format("{}:{}/{}", address, port, protocol);
  spec.backend_sets = {std::move(backends)};
  nat::FrontendSpec frontend;
  frontend.address = net::IpAddress::parse(std::string(address)).value();
  frontend.protocol = protocol;
  frontend.port = port;
  frontend.rules[0] = balance(0);
  frontend.rules[1] = frontend.rules[2] = balance(0, true);
  spec.frontends = {frontend};
  return spec;
}

nat::Backend backend(const std::string& address, std::uint16_t port) {
  return {net::IpAddress::parse(address).value(), port};
}

class Nat : public testing::TestWithParam<unsigned> {
 protected:
  /// Pods 3 (client), 4 (server), 5 and the host, spread over the workers.
  void SetUp() override {
    const unsigned workers = GetParam();
    const auto worker = [&](unsigned n) { return static_cast<WorkerId>(n % workers); };
    world_.add_pod(kClient, 3, worker(0)).masquerade = true;
    world_.add_pod(kServer, 4, worker(1)).masquerade = true;
    world_.add_pod(kOther, 5, worker(2)).masquerade = true;
    world_.add_host(kHost, worker(3));
    world_.nat.masquerade_v4 = v4(kNodeV4);
    world_.nat.masquerade_v6 = v6(kNodeV6);
    world_.nat.not_masqueraded = {net::Prefix::parse("10.244.0.0/16").value(),
                                  net::Prefix::parse("192.0.2.1/32").value()};
    world_.nat.service_prefixes = {net::Prefix::parse("10.96.0.0/12").value()};
    world_.nat.node_addresses = {net::IpAddress::from(v4(kNodeV4)), net::IpAddress::from(v6(kNodeV6))};
    world_.services = {service(kClusterIp, net::ip_protocol::kUdp, 53, {backend(pod_v4(4), 5353)}),
                       service(kClusterIp, net::ip_protocol::kTcp, 80, {backend(pod_v4(4), 8080)}),
                       service(kClusterIp, net::ip_protocol::kTcp, 81, {}),
                       service(kClusterIp, net::ip_protocol::kTcp, 82, {backend(pod_v4(3), 8082)}),
                       service(kClusterIp6, net::ip_protocol::kUdp, 53, {backend(pod_v6(4), 5353)}),
                       service(kNodeV4, net::ip_protocol::kTcp, 30500, {backend(pod_v4(4), 8080)}),
                       service(kNodeV4, net::ip_protocol::kTcp, 30501, {}),
                       service(kNodeV4, net::ip_protocol::kUdp, 30502, {})};
    world_.publish();
  }

  /// Sends the frame and returns what left: "PORT: tuple".
  std::vector<std::string> pass(net::PortId in, const Bytes& frame) {
    EXPECT_TRUE(world_.send(in, frame));
    world_.run();
    std::vector<std::string> out;
    for (net::PortId id = kClient; id <= kHost; ++id) {
      last_ = id == kClient ? Bytes{} : last_;
      for (const Bytes& sent : world_.receive(id)) {
        out.push_back(fmt::format("{}: {}", id, tuple_of(sent)));
        last_ = sent;
      }
    }
    world_.check_law();
    return out;
  }
  std::string one(net::PortId in, const Bytes& frame) {
    const auto out = pass(in, frame);
    return out.empty() ? "dropped: " + world_.drop_text() : out.front();
  }
  /// The source port of the last packet that left.
  std::uint16_t last_source_port() {
    TestPacket packet(last_);
    EXPECT_EQ(packet.parse(), Drop::kNone);
    return packet->headers.source_port;
  }

  TestSwitch world_{SwitchShape{.workers = GetParam()}};
  Bytes last_;
};

PacketBuilder from_pod(unsigned number) { return eth(pod_mac(number), kGatewayMac); }
PacketBuilder from_host() { return eth(pod_mac(0xff), kGatewayMac); }
constexpr std::uint8_t kSyn = net::TcpHeader::kSyn, kAck = net::TcpHeader::kAck, kSynAck = kSyn | kAck;

TEST_P(Nat, ClusterIpBecomesTheBackendAndTheReplyTheService) {
  EXPECT_EQ(one(kClient, from_pod(3).ipv4(pod_v4(3), kClusterIp).udp(40000, 53).payload("q").bytes()),
            "2: udp 10.244.0.3:40000 > 10.244.0.4:5353");
  EXPECT_EQ(one(kServer, from_pod(4).ipv4(pod_v4(4), pod_v4(3)).udp(5353, 40000).payload("a").bytes()),
            "1: udp 10.96.0.10:53 > 10.244.0.3:40000");
  EXPECT_EQ(one(kClient, from_pod(3).ipv6(pod_v6(3), kClusterIp6).udp(40000, 53).payload("q").bytes()),
            "2: udp fd00:10:244::3:40000 > fd00:10:244::4:5353");
  EXPECT_EQ(one(kServer, from_pod(4).ipv6(pod_v6(4), pod_v6(3)).udp(5353, 40000).payload("a").bytes()),
            "1: udp fd00:10:96::10:53 > fd00:10:244::3:40000");
}

TEST_P(Nat, ChecksumsLeftToOffloadAreCompleteWhenTheyLeave) {
  EXPECT_EQ(one(kClient, from_pod(3).ipv4(pod_v4(3), kClusterIp).tcp(40000, 80, kSyn).partial_checksum().bytes()),
            "2: tcp 10.244.0.3:40000 > 10.244.0.4:8080");
  EXPECT_EQ(one(kServer, from_pod(4).ipv4(pod_v4(4), pod_v4(3)).tcp(8080, 40000, kSynAck).partial_checksum().bytes()),
            "1: tcp 10.96.0.10:80 > 10.244.0.3:40000");
}

TEST_P(Nat, WithoutABackendTheClientIsTold) {
  EXPECT_EQ(one(kClient, from_pod(3).ipv4(pod_v4(3), kClusterIp).tcp(40000, 81, kSyn).bytes()),
            "1: tcp 10.96.0.10:81 > 10.244.0.3:40000");
  EXPECT_EQ(world_.drops(Drop::kServiceNoBackend), 1u);
  EXPECT_EQ(one(kClient, from_pod(3).ipv4(pod_v4(3), kClusterIp).udp(40000, 99).payload("q").bytes()),
            "1: icmp 192.0.2.1:0 > 10.244.0.3:0");
  EXPECT_EQ(world_.drops(Drop::kServiceNoPort), 1u);
  EXPECT_EQ(pass(kClient, from_pod(3).ipv4(pod_v4(3), "10.96.7.7").udp(40000, 53).bytes()).size(), 0u);
  EXPECT_EQ(world_.drops(Drop::kServiceNoFrontend), 1u);
}

TEST_P(Nat, APodReachesItselfThroughAService) {
  const std::string there = one(kClient, from_pod(3).ipv4(pod_v4(3), kClusterIp).tcp(40000, 82, kSyn).bytes());
  const std::uint16_t port = last_source_port();
  EXPECT_EQ(there, fmt::format("1: tcp 192.0.2.1:{} > 10.244.0.3:8082", port));
  EXPECT_TRUE(kMasqueradePorts.holds(port));
  EXPECT_EQ(one(kClient, from_pod(3).ipv4(pod_v4(3), kNodeV4).tcp(8082, port, kSynAck).bytes()),
            "1: tcp 10.96.0.10:82 > 10.244.0.3:40000");
}

TEST_P(Nat, PodsReachTheWorldAsTheNode) {
  const std::string there = one(kClient, from_pod(3).ipv4(pod_v4(3), "198.51.100.1").udp(40000, 53).bytes());
  const std::uint16_t port = last_source_port();
  EXPECT_EQ(there, fmt::format("4: udp 192.0.2.1:{} > 198.51.100.1:53", port));
  EXPECT_EQ(one(kHost, from_host().ipv4("198.51.100.1", kNodeV4).udp(53, port).bytes()),
            "1: udp 198.51.100.1:53 > 10.244.0.3:40000");
  // One outside port for all destinations (RFC 4787 REQ-1).
  EXPECT_EQ(one(kClient, from_pod(3).ipv4(pod_v4(3), "198.51.100.2").udp(40000, 99).bytes()),
            fmt::format("4: udp 192.0.2.1:{} > 198.51.100.2:99", port));
  // Nobody else may use it.
  EXPECT_EQ(pass(kHost, from_host().ipv4("203.0.113.9", kNodeV4).udp(53, port).bytes()).size(), 0u);
  EXPECT_EQ(world_.drops(Drop::kNoFlow), 1u);
  // Another pod has another port.
  one(kOther, from_pod(5).ipv4(pod_v4(5), "198.51.100.1").udp(40000, 53).bytes());
  EXPECT_NE(last_source_port(), port);
  // The node itself sees the pod.
  EXPECT_EQ(one(kClient, from_pod(3).ipv4(pod_v4(3), kNodeV4).udp(40000, 53).bytes()),
            "4: udp 10.244.0.3:40000 > 192.0.2.1:53");
}

TEST_P(Nat, WhatTheUplinkTookGoesToItsFlowOrToTheNodeAndErrorsByTheHost) {
  constexpr net::PortId kUplink = 5;
  world_.add_uplink(kUplink, static_cast<WorkerId>(1 % GetParam()));
  world_.publish();
  const auto from_uplink = [] { return eth("02:00:00:00:77:77", kUplinkMac); };
  EXPECT_EQ(one(kUplink, from_uplink().ipv4("198.51.100.1", kNodeV4).icmp(0, 0, 40'123, 1).bytes()),
            "4: icmp 198.51.100.1:40123 > 192.0.2.1:40123");
  EXPECT_EQ(one(kUplink, from_uplink().ipv4("198.51.100.1", kNodeV4).tcp(5000, 41'000, kSyn).bytes()),
            "4: tcp 198.51.100.1:5000 > 192.0.2.1:41000");
  // What a flow wants it gets.
  one(kClient, from_pod(3).ipv4(pod_v4(3), "198.51.100.1").udp(40000, 53).bytes());
  EXPECT_EQ(one(kUplink, from_uplink().ipv4("198.51.100.1", kNodeV4).udp(53, last_source_port()).bytes()),
            "1: udp 198.51.100.1:53 > 10.244.0.3:40000");
  // Nothing leaves by an uplink: a refusal goes the way of all answers.
  EXPECT_EQ(one(kUplink, from_uplink().ipv4("198.51.100.1", kNodeV4).tcp(5000, 30'501, kSyn).bytes()),
            "4: tcp 192.0.2.1:30501 > 198.51.100.1:5000");
  EXPECT_EQ(describe(last_).find("ethernet 02:4d:52:00:00:01 > 02:00:00:00:00:ff\n"), 0u) << describe(last_);
  EXPECT_EQ(one(kUplink, from_uplink().ipv4("198.51.100.1", kNodeV4).udp(5000, 30'502).payload("q").bytes()),
            "4: icmp 192.0.2.1:0 > 198.51.100.1:0");
}

TEST_P(Nat, AnEchoIsMasqueradedByItsIdentifier) {
  const std::string there = one(kClient, from_pod(3).ipv4(pod_v4(3), "198.51.100.1").icmp(8, 0, 77, 1).bytes());
  const std::uint16_t id = last_source_port();
  EXPECT_EQ(there, fmt::format("4: icmp 192.0.2.1:{} > 198.51.100.1:{}", id, id));
  EXPECT_EQ(one(kHost, from_host().ipv4("198.51.100.1", kNodeV4).icmp(0, 0, id, 1).bytes()),
            "1: icmp 198.51.100.1:77 > 10.244.0.3:77");
}

// Echoes have one number for both ends, so two pings with the same one are one flow, as in Linux
// (nf_conntrack_proto_icmp). Whoever began, both are answered.
TEST_P(Nat, TwoPodsThatPingEachOtherWithOneIdentifierAreBothAnswered) {
  const auto echo = [](unsigned from, unsigned to, std::uint8_t type) {
    return from_pod(from).ipv4(pod_v4(from), pod_v4(to)).icmp(type, 0, 77, 1).bytes();
  };
  const std::string to_client = "1: icmp 10.244.0.4:77 > 10.244.0.3:77",
                    to_server = "2: icmp 10.244.0.3:77 > 10.244.0.4:77";
  // Both ask before either is answered; then the same again on the flow, or flows, that are there.
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(world_.send(kServer, echo(4, 3, 8)));
    EXPECT_EQ(pass(kClient, echo(3, 4, 8)), (std::vector{to_client, to_server}));
    ASSERT_TRUE(world_.send(kServer, echo(4, 3, 0)));
    EXPECT_EQ(pass(kClient, echo(3, 4, 0)), (std::vector{to_client, to_server}));
  }
}

TEST_P(Nat, APodAndTheWorldPingEachOtherWithOneIdentifier) {
  const Bytes pod_asks = from_pod(3).ipv4(pod_v4(3), "198.51.100.1").icmp(8, 0, 77, 1).bytes();
  const Bytes world_asks = from_host().ipv4("198.51.100.1", pod_v4(3)).icmp(8, 0, 77, 1).bytes();
  one(kClient, pod_asks);
  const std::uint16_t outside = last_source_port();
  // The tuples are the pod's flow's already: the other ping gets an identifier of the node's.
  const std::string there = one(kHost, world_asks);
  const std::uint16_t apart = last_source_port();
  EXPECT_EQ(there, fmt::format("1: icmp 192.0.2.1:{} > 10.244.0.3:{}", apart, apart));
  EXPECT_EQ(one(kClient, from_pod(3).ipv4(pod_v4(3), kNodeV4).icmp(0, 0, apart, 1).bytes()),
            "4: icmp 10.244.0.3:77 > 198.51.100.1:77");
  EXPECT_EQ(one(kHost, from_host().ipv4("198.51.100.1", kNodeV4).icmp(0, 0, outside, 1).bytes()),
            "1: icmp 198.51.100.1:77 > 10.244.0.3:77");
}

TEST_P(Nat, APodPingsBackTheWorldThatPingsIt) {
  one(kHost, from_host().ipv4("198.51.100.1", pod_v4(3)).icmp(8, 0, 77, 1).bytes());
  // It goes by the flow that is there, with the address the world has asked.
  EXPECT_EQ(one(kClient, from_pod(3).ipv4(pod_v4(3), "198.51.100.1").icmp(8, 0, 77, 1).bytes()),
            "4: icmp 10.244.0.3:77 > 198.51.100.1:77");
  EXPECT_EQ(one(kHost, from_host().ipv4("198.51.100.1", pod_v4(3)).icmp(0, 0, 77, 1).bytes()),
            "1: icmp 198.51.100.1:77 > 10.244.0.3:77");
  EXPECT_EQ(one(kClient, from_pod(3).ipv4(pod_v4(3), "198.51.100.1").icmp(0, 0, 77, 1).bytes()),
            "4: icmp 10.244.0.3:77 > 198.51.100.1:77");
}

// The identifier of a ping is its sender's choice, unlike a port of the node's: one that lies among those of masquerade
// is the node's to answer all the same.
TEST_P(Nat, APodPingsItsNodeWithAnyIdentifier) {
  for (const std::uint16_t id : {std::uint16_t{77}, kMasqueradePorts.first, std::uint16_t{41'000}}) {
    SCOPED_TRACE(id);
    EXPECT_EQ(one(kClient, from_pod(3).ipv4(pod_v4(3), kNodeV4).icmp(8, 0, id, 1).bytes()),
              fmt::format("4: icmp 10.244.0.3:{} > 192.0.2.1:{}", id, id));
    EXPECT_EQ(one(kHost, from_host().ipv4(kNodeV4, pod_v4(3)).icmp(0, 0, id, 1).bytes()),
              fmt::format("1: icmp 192.0.2.1:{} > 10.244.0.3:{}", id, id));
  }
}

// And so is that of the node's own ping, and the port of its own socket.
TEST_P(Nat, TheNodeIsAnsweredWhateverItsPort) {
  for (const std::uint16_t port :
       {std::uint16_t{77}, kMasqueradePorts.first, std::uint16_t{41'000}, std::uint16_t{44'000}}) {
    SCOPED_TRACE(port);
    for (const auto& [id, pod] : {std::pair{kClient, 3u}, std::pair{kServer, 4u}, std::pair{kOther, 5u}}) {
      EXPECT_EQ(one(kHost, from_host().ipv4(kNodeV4, pod_v4(pod)).icmp(8, 0, port, 1).bytes()),
                fmt::format("{}: icmp 192.0.2.1:{} > 10.244.0.{}:{}", id, port, pod, port));
      EXPECT_EQ(one(id, from_pod(pod).ipv4(pod_v4(pod), kNodeV4).icmp(0, 0, port, 1).bytes()),
                fmt::format("4: icmp 10.244.0.{}:{} > 192.0.2.1:{}", pod, port, port));
      one(kHost, from_host().ipv4(kNodeV4, pod_v4(pod)).udp(port, 53).bytes());
      EXPECT_EQ(one(id, from_pod(pod).ipv4(pod_v4(pod), kNodeV4).udp(53, port).bytes()),
                fmt::format("4: udp 10.244.0.{}:53 > 192.0.2.1:{}", pod, port));
    }
  }
}

// RFC 4787 REQ-9: a pod reaches another by the outside port it was given, whichever worker gave it, and the answer
// comes from that port. Both see an outside port, never each other.
TEST_P(Nat, APodReachesAnotherByItsOutsidePortAndIsAnswered) {
  struct Family {
    std::string asker, server, world, node;
  };
  const Family families[] = {{pod_v4(3), pod_v4(4), "198.51.100.1", std::string(kNodeV4)},
                             {pod_v6(3), pod_v6(4), "2001:db8:1::1", std::string(kNodeV6)}};
  for (const Family& ip : families) {
    const auto from = [&](unsigned number, const std::string& source, const std::string& destination) {
      return source.find(':') == std::string::npos ? from_pod(number).ipv4(source, destination)
                                                   : from_pod(number).ipv6(source, destination);
    };
    one(kServer, from(4, ip.server, ip.world).udp(5000, 53).bytes());
    const std::uint16_t server_port = last_source_port();
    const std::string there = one(kClient, from(3, ip.asker, ip.node).udp(40000, server_port).bytes());
    const std::uint16_t asker_port = last_source_port();
    EXPECT_EQ(there, fmt::format("2: udp {}:{} > {}:5000", ip.node, asker_port, ip.server));
    EXPECT_TRUE(kMasqueradePorts.holds(asker_port));
    for (int turn = 0; turn < 2; ++turn) {
      EXPECT_EQ(one(kServer, from(4, ip.server, ip.node).udp(5000, asker_port).bytes()),
                fmt::format("1: udp {}:{} > {}:40000", ip.node, server_port, ip.asker));
    }
    EXPECT_EQ(one(kClient, from(3, ip.asker, ip.node).udp(40000, server_port).bytes()), there);
  }
}

TEST_P(Nat, OutsideReachesANodePortAndTheBackendSeesTheNode) {
  const std::string there = one(kHost, from_host().ipv4("198.51.100.1", kNodeV4).tcp(50000, 30500, kSyn).bytes());
  const std::uint16_t port = last_source_port();
  EXPECT_EQ(there, fmt::format("2: tcp 192.0.2.1:{} > 10.244.0.4:8080", port));
  EXPECT_EQ(one(kServer, from_pod(4).ipv4(pod_v4(4), kNodeV4).tcp(8080, port, kSynAck).bytes()),
            "4: tcp 192.0.2.1:30500 > 198.51.100.1:50000");
}

TEST_P(Nat, APodReachesANodePort) {
  EXPECT_EQ(one(kClient, from_pod(3).ipv4(pod_v4(3), kNodeV4).tcp(40000, 30500, kSyn).bytes()),
            "2: tcp 10.244.0.3:40000 > 10.244.0.4:8080");
  EXPECT_EQ(one(kServer, from_pod(4).ipv4(pod_v4(4), pod_v4(3)).tcp(8080, 40000, kSynAck).bytes()),
            "1: tcp 192.0.2.1:30500 > 10.244.0.3:40000");
}

TEST_P(Nat, AnIcmpErrorComesBackInTheTermsOfItsFlow) {
  one(kClient, from_pod(3).ipv4(pod_v4(3), kClusterIp).udp(40000, 53).payload("q").bytes());
  const Bytes quoted = last_;
  const Bytes error =
      from_pod(4).ipv4(pod_v4(4), pod_v4(3)).icmp(3, 3).payload(Bytes(quoted.begin() + 14, quoted.end())).bytes();
  EXPECT_EQ(one(kServer, error), "1: icmp 10.96.0.10:0 > 10.244.0.3:0");
  // The quoted packet is the one the client sent.
  TestPacket inner(Bytes(last_.begin(), last_.end()));
  ASSERT_EQ(inner.parse(), Drop::kNone);
  const auto& ip = net::view<net::Ipv4Header>(last_.data() + 14 + 20 + 8);
  EXPECT_EQ(ip.source.to_string(), "10.244.0.3");
  EXPECT_EQ(ip.destination.to_string(), kClusterIp);
}

TEST_P(Nat, ConnectionsOfOnePortToOneBackendAreToldApart) {
  EXPECT_EQ(one(kClient, from_pod(3).ipv4(pod_v4(3), pod_v4(4)).tcp(40000, 8080, kSyn).bytes()),
            "2: tcp 10.244.0.3:40000 > 10.244.0.4:8080");
  // By two addresses of services: the first has the endpoint's port, the second one of its own.
  struct Way {
    std::string address;
    std::uint16_t port;
    std::uint16_t outside;
  };
  Way ways[] = {{kClusterIp, 80, 0}, {std::string(kNodeV4), 30500, 0}};
  for (Way& way : ways) {
    const std::string there = one(kClient, from_pod(3).ipv4(pod_v4(3), way.address).tcp(40000, way.port, kSyn).bytes());
    way.outside = last_source_port();
    EXPECT_EQ(there, fmt::format("2: tcp 192.0.2.1:{} > 10.244.0.4:8080", way.outside));
  }
  EXPECT_NE(ways[0].outside, ways[1].outside);
  for (const Way& way : ways) {
    EXPECT_EQ(one(kServer, from_pod(4).ipv4(pod_v4(4), kNodeV4).tcp(8080, way.outside, kSynAck).bytes()),
              fmt::format("1: tcp {}:{} > 10.244.0.3:40000", way.address, way.port));
  }
  EXPECT_EQ(one(kServer, from_pod(4).ipv4(pod_v4(4), pod_v4(3)).tcp(8080, 40000, kSynAck).bytes()),
            "1: tcp 10.244.0.4:8080 > 10.244.0.3:40000");
  EXPECT_EQ(world_.drops(Drop::kFlowTaken), 0u);
}

INSTANTIATE_TEST_SUITE_P(Workers, Nat, testing::Values(1u, 2u, 4u));

}  // namespace
}  // namespace millrace::datapath
