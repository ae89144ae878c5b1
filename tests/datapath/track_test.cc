// Flows of several workers, step by step: what crosses between them, and what is left behind when a pod moves.
#include "datapath/track.h"

#include <gtest/gtest.h>

#include "tests/datapath/flow_world.h"
#include "tests/datapath/test_switch.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;

class Track : public testing::Test {
 protected:
  /// The client on worker 0, the server on worker 1, the host on worker 2.
  void SetUp() override {
    describe_nat(world_);
    world_.add_pod(kClient, 3, 0).masquerade = true;
    world_.add_pod(kServer, 4, 1).masquerade = true;
    world_.add_host(kHost, 2);
    world_.services = {service_to("10.96.0.10", net::ip_protocol::kUdp, 53, {pod_v4(4)}, 5353)};
    world_.publish();
  }
  void TearDown() override { world_.check_law(); }

  void move_client() {
    world_.remove(kClient);
    world_.add_pod(kMoved, 3, 2).masquerade = true;
    world_.publish();
  }

  static constexpr net::PortId kClient = 1, kServer = 2, kHost = 3, kMoved = 4;
  TestSwitch world_{SwitchShape{.workers = 3, .masquerade_ports = {40'000, 3}}};
  const Bytes question_ = eth(pod_mac(3), kGatewayMac).ipv4(pod_v4(3), "10.96.0.10").udp(40000, 53).bytes();
  const Bytes answer_ = eth(pod_mac(4), kGatewayMac).ipv4(pod_v4(4), pod_v4(3)).udp(5353, 40000).bytes();
};

// A reply to the pod that had the address before is not for the one that has it now; and a flow of it would let the
// pod's next question follow it the other way, past the service.
TEST_F(Track, AReplyToAPodThatIsGoneReachesNobody) {
  EXPECT_EQ(pass(world_, kClient, question_), "2: udp 10.244.0.3:40000 > 10.244.0.4:5353");
  ASSERT_TRUE(world_.send(kServer, answer_));
  world_.step(1);  // on its way to worker 0
  move_client();
  world_.run();
  EXPECT_EQ(world_.receive(kMoved).size(), 0u);
  EXPECT_EQ(world_.drop_text(), "port_gone=1");
  EXPECT_EQ(world_.counters(2).flows.created.get(), 0u);
  EXPECT_EQ(pass(world_, kMoved, question_), "2: udp 10.244.0.3:40000 > 10.244.0.4:5353");
  EXPECT_EQ(pass(world_, kServer, answer_), "4: udp 10.96.0.10:53 > 10.244.0.3:40000");
}

// Also when the worker that forwarded the question knows first that the pod is gone.
TEST_F(Track, AReplyWithoutItsFlowDoesNotChangeTheNextQuestion) {
  EXPECT_EQ(pass(world_, kClient, question_), "2: udp 10.244.0.3:40000 > 10.244.0.4:5353");
  move_client();
  EXPECT_EQ(pass(world_, kServer, answer_), "dropped");
  EXPECT_EQ(world_.drop_text(), "port_gone=1");
  EXPECT_EQ(pass(world_, kMoved, question_), "2: udp 10.244.0.3:40000 > 10.244.0.4:5353");
}

// A reply to a masquerade port whose flow is over reaches nobody, whoever has the port by then.
TEST_F(Track, AReplyToAPortThatWasGivenBackIsDropped) {
  world_.services = {service_to("10.96.0.10", net::ip_protocol::kUdp, 53, {pod_v4(4)}, 5353, true)};
  world_.publish();
  std::uint16_t port = 0;
  const std::string there = pass(world_, kClient, question_, &port);
  EXPECT_EQ(there, fmt::format("2: udp 192.0.2.1:{} > 10.244.0.4:5353", port));
  world_.now_ns += 60'000'000'000;  // longer than a question to port 53 lives, not so long as one to port 5353
  for (int turn = 0; turn < 4; ++turn, world_.now_ns += 4'000'000'000) world_.step(0);
  ASSERT_FALSE(world_.step(0).has_flows);
  const Bytes other = eth(pod_mac(3), kGatewayMac).ipv4(pod_v4(3), "198.51.100.1").udp(40001, 53).bytes();
  ASSERT_EQ(pass(world_, kClient, other), fmt::format("3: udp 192.0.2.1:{} > 198.51.100.1:53", port));
  const Bytes late = eth(pod_mac(4), kGatewayMac).ipv4(pod_v4(4), kNodeV4).udp(5353, port).bytes();
  EXPECT_EQ(pass(world_, kServer, late), "dropped");
  EXPECT_EQ(world_.drop_text(), "no_flow=1");
}

// An error about a masqueraded packet whose flow is over cannot be put in its sender's terms: the node is not told of
// a packet it never sent.
TEST_F(Track, AnErrorAboutAMasqueradeThatIsOverIsDropped) {
  world_.services = {service_to("10.96.0.10", net::ip_protocol::kUdp, 53, {pod_v4(4)}, 5353, true)};
  world_.publish();
  std::uint16_t port = 0;
  pass(world_, kClient, question_, &port);
  world_.now_ns += 60'000'000'000;
  for (int turn = 0; turn < 4; ++turn, world_.now_ns += 4'000'000'000) world_.step(0);
  const Bytes quoted = eth().ipv4(kNodeV4, pod_v4(4)).udp(port, 5353).bytes();
  const Bytes error = eth(pod_mac(4), kGatewayMac)
                          .ipv4(pod_v4(4), kNodeV4)
                          .icmp(3, 3)
                          .payload(Bytes(quoted.begin() + 14, quoted.end()))
                          .bytes();
  EXPECT_EQ(pass(world_, kServer, error), "dropped");
  EXPECT_EQ(world_.drop_text(), "no_flow=1");
}

// The outside port of a pod that has moved to another worker is still held for its flows of before: who asks it there
// would be answered from the pod's own address.
TEST_F(Track, AnOutsidePortOfAPodThatHasMovedIsNobodys) {
  std::uint16_t port = 0;
  pass(world_, kClient, eth(pod_mac(3), kGatewayMac).ipv4(pod_v4(3), "198.51.100.1").udp(40000, 53).bytes(), &port);
  const Bytes asks = eth(pod_mac(4), kGatewayMac).ipv4(pod_v4(4), kNodeV4).udp(5000, port).bytes();
  std::uint16_t asker = 0;
  const std::string there = pass(world_, kServer, asks, &asker);
  EXPECT_EQ(there, fmt::format("1: udp 192.0.2.1:{} > 10.244.0.3:40000", asker));
  world_.remove(kClient);
  world_.add_pod(kMoved, 3, 1).masquerade = true;  // now on the asker's worker
  world_.publish();
  EXPECT_EQ(pass(world_, kServer, asks), "dropped");
  const Bytes answer = eth(pod_mac(3), kGatewayMac).ipv4(pod_v4(3), kNodeV4).udp(40000, asker).bytes();
  EXPECT_EQ(pass(world_, kMoved, answer), "dropped");
}

/// The two fragments of a UDP packet of 48 bytes.
std::vector<Bytes> fragments_of(std::string_view destination, std::uint16_t id) {
  const Bytes whole = eth().ipv4(pod_v4(3), destination).udp(40000, 53).payload(40).bytes();
  const auto piece = [&](std::uint32_t first, std::uint32_t last, bool more) {
    const Bytes content(whole.begin() + 34 + first, whole.begin() + 34 + last);
    return eth(pod_mac(3), kGatewayMac)
        .ipv4(pod_v4(3), destination)
        .protocol(net::ip_protocol::kUdp)
        .fragment(first, more, id)
        .payload(content)
        .bytes();
  };
  return {piece(0, 24, true), piece(24, 48, false)};
}

TEST_F(Track, FragmentsFollowTheFlowOfTheFirst) {
  const auto fragments = fragments_of("10.96.0.10", 7);
  EXPECT_EQ(pass(world_, kClient, fragments[0]), "2: udp 10.244.0.3:40000 > 10.244.0.4:5353 first fragment");
  EXPECT_EQ(pass(world_, kClient, fragments[1]), "2: udp 10.244.0.3:0 > 10.244.0.4:0 later fragment");
  EXPECT_EQ(world_.counters(0).flows.created.get(), 1u);
}

TEST_F(Track, AFragmentBeforeItsFirstIsDroppedByName) {
  const auto fragments = fragments_of("10.96.0.10", 8);
  EXPECT_EQ(pass(world_, kClient, fragments[1]), "dropped");
  EXPECT_EQ(world_.drop_text(), "fragment_without_first=1");
  pass(world_, kClient, fragments[0]);
  EXPECT_EQ(pass(world_, kClient, fragments[1]), "2: udp 10.244.0.3:0 > 10.244.0.4:0 later fragment");
}

TEST(TrackTcp, AConnectionInTheMiddleGoesOnOnlyWherePickUpIsOn) {
  for (const bool pick_up : {true, false}) {
    TestSwitch world({.flows = {.limit = 1024, .seed = 1, .pick_up_tcp = pick_up}});
    world.add_pod(1, 3);
    world.add_pod(2, 4);
    world.publish();
    const auto segment = [](std::uint8_t flags) {
      return eth(pod_mac(3), kGatewayMac).ipv4(pod_v4(3), pod_v4(4)).tcp(40000, 80, flags).bytes();
    };
    EXPECT_EQ(pass(world, 1, segment(net::TcpHeader::kRst)), "dropped") << "a reset begins nothing";
    EXPECT_EQ(pass(world, 1, segment(net::TcpHeader::kAck)),
              pick_up ? "2: tcp 10.244.0.3:40000 > 10.244.0.4:80" : "dropped");
    EXPECT_EQ(world.drops(Drop::kNoConnection) > 1, !pick_up);
  }
}

// Each is remembered for seconds after its end, and there is room for 1024: what has ended makes room, and its port is
// given back.
TEST(TrackTcp, ConnectionsThatComeAndGoAreNeverRefused) {
  using net::TcpHeader;
  constexpr unsigned kConnections = 5000;
  TestSwitch world({.flows = {.limit = 1024, .seed = 1}, .masquerade_ports = {40'000, 1200}});
  describe_nat(world);
  world.add_pod(1, 3).masquerade = true;
  world.add_host(2);
  world.publish();
  for (unsigned number = 0; number < kConnections; ++number) {
    SCOPED_TRACE(number);
    const auto source_port = static_cast<std::uint16_t>(10'000 + number);
    std::uint16_t port = 0;
    const auto asks = [&](std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledgment) {
      return eth(pod_mac(3), kGatewayMac)
          .ipv4(pod_v4(3), "198.51.100.1")
          .tcp(source_port, 80, flags)
          .sequence(sequence, acknowledgment)
          .bytes();
    };
    ASSERT_NE(pass(world, 1, asks(TcpHeader::kSyn, 1000, 0), &port), "dropped") << world.drop_text();
    const Bytes answer = eth(pod_mac(0xff), kGatewayMac)
                             .ipv4("198.51.100.1", kNodeV4)
                             .tcp(80, port, TcpHeader::kSyn | TcpHeader::kAck)
                             .sequence(5000, 1001)
                             .bytes();
    ASSERT_EQ(pass(world, 2, answer), fmt::format("1: tcp 198.51.100.1:80 > 10.244.0.3:{}", source_port));
    ASSERT_NE(pass(world, 1, asks(TcpHeader::kRst | TcpHeader::kAck, 1001, 5001)), "dropped");
    world.now_ns += 100'000;
  }
  EXPECT_EQ(world.drop_text(), "");
  const FlowCounters& counters = world.counters(0).flows;
  EXPECT_EQ(counters.created.get(), kConnections);
  EXPECT_GT(counters.ended.get(), kConnections - 1024u);
}

/// How long a flow without an answer is there, by its listing.
TEST(TrackTime, AFlowLivesAsLongAsItsKind) {
  struct Row {
    const char* name;
    Bytes frame;
    nat::FlowTimer timer;
  };
  const auto ip = [] { return eth(pod_mac(3), kGatewayMac).ipv4(pod_v4(3), pod_v4(4)); };
  const Row rows[] = {
      {"udp to a well-known port", ip().udp(40000, 53).bytes(), nat::FlowTimer::kUdpOneShotShort},
      {"udp", ip().udp(40000, 5353).bytes(), nat::FlowTimer::kUdpOneShot},
      {"tcp syn", ip().tcp(40000, 80, net::TcpHeader::kSyn).bytes(), nat::FlowTimer::kTcpHandshake},
      {"echo", ip().icmp(8, 0, 7, 1).bytes(), nat::FlowTimer::kIcmp},
      {"another protocol", ip().protocol(47).payload(20).bytes(), nat::FlowTimer::kOther},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    TestSwitch world;
    world.add_pod(1, 3);
    world.add_pod(2, 4);
    world.publish();
    ASSERT_NE(pass(world, 1, row.frame), "dropped");
    const std::uint64_t timeout_ns = std::uint64_t{nat::Timeouts{}.of(row.timer)} * 1'000'000;
    world.now_ns += timeout_ns - 1'000'000'000;
    world.step(0);
    EXPECT_TRUE(world.step(0).has_flows);
    // An eighth of jitter, the grain of what was seen, a round of the sweep.
    world.now_ns += 1'000'000'000 + timeout_ns / 8 + 2'000'000'000;
    world.step(0);
    world.now_ns += std::uint64_t{kSweepMs} * 1'000'000;
    EXPECT_FALSE(world.step(0).has_flows);
    EXPECT_EQ(world.counters(0).flows.ended.get(), 1u);
  }
}

}  // namespace
}  // namespace millrace::datapath
