// The datapath never allocates: every operator new of this program is counted, and a turn of a worker adds none.
#include <gtest/gtest.h>

#include <atomic>

#include "datapath/flow_scan.h"
#include "tests/datapath/flow_world.h"
#include "tests/datapath/test_switch.h"
#include "tests/datapath/traffic.h"
#include "tests/datapath/tunnel_world.h"
#include "tests/net/count_allocations.h"

namespace millrace::datapath {
namespace {

using namespace tests;

TEST(NoAllocation, CountsWhatIsAllocated) {
  const std::uint64_t before = allocations;
  std::vector<int> some(100);
  EXPECT_EQ(allocations - before, 1u);
  EXPECT_EQ(some.size(), 100u);
}

TEST(NoAllocation, NoTurnOfAWorkerAllocatesWhateverArrives) {
  TestSwitch world({.workers = 2, .packets = 4096, .ring_size = 64});
  world.add_host(0, 0);
  for (unsigned pod = 1; pod <= 6; ++pod) {
    world.add_pod(static_cast<net::PortId>(pod), pod, static_cast<WorkerId>(pod % 2)).mtu_bytes =
        pod % 3 == 0 ? 1280 : 1500;
  }
  world.publish();
  Traffic traffic(7);
  const unsigned others[] = {1, 2, 3, 4, 5, 6, 99};
  std::uint64_t in_turns = 0;
  for (unsigned round = 0; round < 300; ++round) {
    for (unsigned pod = 1; pod <= 6; ++pod) {
      for (int i = 0; i < 8; ++i) world.send(static_cast<net::PortId>(pod), traffic.from_pod(pod, others));
    }
    for (int i = 0; i < 8; ++i) world.send(0, traffic.from_host(others));
    world.now_ns += 5'000'000;
    const std::uint64_t before = allocations;
    world.step(0);
    world.step(1);
    in_turns += allocations - before;
    if (round % 16 == 0) {
      for (net::PortId id = 0; id <= 6; ++id) world.receive(id);
    }
  }
  EXPECT_EQ(in_turns, 0u);
  // It was no idle run: all of this happened in those turns.
  EXPECT_GT(world.sum(&PortCounters::tx_packets), 1000u);
  EXPECT_GT(world.sum(&PortCounters::answered), 100u);
  EXPECT_GT(world.sum(&PortCounters::created), 100u);
  for (const net::Drop reason :
       {net::Drop::kTtlExceeded, net::Drop::kPacketTooBig, net::Drop::kTxRingFull, net::Drop::kSpoofedAddress}) {
    EXPECT_GT(world.drops(reason), 0u) << net::drop_name(reason);
  }
}

TEST(NoAllocation, NoTurnAllocatesForFlowsServicesMasqueradeSweepsListingsOrFlushes) {
  TestSwitch world({.workers = 2, .packets = 4096, .masquerade_ports = {40'000, 300}});
  describe_nat(world);
  world.add_host(0, 0);
  for (unsigned pod = 1; pod <= 4; ++pod) {
    world.add_pod(static_cast<net::PortId>(pod), pod, static_cast<WorkerId>(pod % 2)).masquerade = true;
  }
  world.services = {service_to("10.96.0.10", net::ip_protocol::kTcp, 80, {pod_v4(2), pod_v4(3)}, 8080),
                    service_to("10.96.0.11", net::ip_protocol::kTcp, 80, {}, 8080)};
  world.services[0].affinity_seconds = 30;
  world.publish();
  std::vector<FlowRecord> records(4096);
  std::uint64_t in_turns = 0, listed = 0, flushed = 0;
  std::uint16_t port = 1024;
  for (unsigned round = 0; round < 200; ++round) {
    for (unsigned pod = 1; pod <= 4; ++pod) {
      const auto out = [&] { return eth(pod_mac(pod), kGatewayMac); };
      const auto id = static_cast<net::PortId>(pod);
      ++port;
      world.send(id, out().ipv4(pod_v4(pod), "10.96.0.10").tcp(port, 80, net::TcpHeader::kSyn).bytes());
      world.send(id, out().ipv4(pod_v4(pod), "10.96.0.11").tcp(port, 80, net::TcpHeader::kSyn).bytes());
      world.send(id, out().ipv4(pod_v4(pod), "198.51.100.1").udp(port, 53).bytes());
      world.send(id, out().ipv6(pod_v6(pod), "2001:db8:1::1").udp(port, 53).bytes());
      world.send(id, out().ipv4(pod_v4(pod), "198.51.100.1").icmp(8, 0, port, 1).bytes());
    }
    world.now_ns += 500'000'000;
    FlowScan scans[2];
    const bool ends = round >= 190;  // when ports were exhausted and flows swept
    for (WorkerId id = 0; id < 2; ++id) {
      scans[id].ends = ends;
      scans[id].records = std::span(records).subspan(id * 2048u, 2048);
      world.worker(id).post(scans[id]);
    }
    const std::uint64_t before = allocations;
    for (int turn = 0; turn < (ends ? 40 : 8); ++turn) world.step(static_cast<WorkerId>(turn % 2));
    in_turns += allocations - before;
    for (const FlowScan& scan : scans) {
      ASSERT_EQ(scan.state.load(), FlowScan::State::kThrough);
      (ends ? flushed : listed) += scan.count;
    }
    for (net::PortId id = 0; id <= 4; ++id) world.receive(id);
  }
  EXPECT_EQ(in_turns, 0u);
  world.check_law();
  EXPECT_GT(listed, 1000u);
  EXPECT_GT(flushed, 100u);
  EXPECT_GT(world.counters(0).flows.ended.get(), 100u) << "swept";
  EXPECT_GT(world.drops(net::Drop::kSnatPortsExhausted), 0u);
  EXPECT_GT(world.drops(net::Drop::kServiceNoBackend), 100u);
}

/// Into tunnels and out of them, with what is too big, cut, refused and answered.
TEST(NoAllocation, NoTurnAllocatesForTunnels) {
  constexpr net::PortId kPod1 = TunnelNode::pod_port(1), kPod2 = TunnelNode::pod_port(2);
  for (const TunnelShape& shape :
       {TunnelShape{.workers = 2}, TunnelShape{.workers = 2, .queues = 2, .is_over_v6 = true},
        TunnelShape{.is_encapsulated = false}, TunnelShape{.workers = 2, .queues = 2, .is_filtered = true}}) {
    TunnelPair pair(shape);
    std::uint64_t in_turns = 0;
    const auto turn = [&](TunnelNode& node) {
      const std::uint64_t before = allocations;
      for (WorkerId id = 0; id < shape.workers; ++id) node->step(id);
      in_turns += allocations - before;
    };
    for (unsigned round = 0; round < 100; ++round) {
      const auto from_pod = [](unsigned pod) { return eth(pod_mac(pod), kGatewayMac); };
      const auto port = static_cast<std::uint16_t>(1000 + round);
      pair.a->send(kPod1, from_pod(1).ipv4("10.244.0.1", "10.245.0.2").udp(port, 9).payload(1470u).bytes());
      pair.a->send(kPod2, from_pod(2).ipv6("fd00:10:244::2", "fd00:10:245::1").udp(port, 9).bytes());
      pair.a->send(kPod2, from_pod(2).ipv4("10.244.0.2", "10.245.0.1").ttl(2).udp(port, 9).bytes());
      pair.a->send(kPod2,
                   from_pod(2).ipv4("10.244.0.2", "10.245.0.1").dont_fragment().udp(9, port).payload(1460u).bytes());
      pair.a->send(kPod1, from_pod(1).ipv4("10.244.0.1", "10.245.0.99").udp(port, 9).bytes());
      for (int i = 0; i < 3; ++i) turn(pair.a);
      for (unsigned queue = 0; queue < shape.queues; ++queue) {
        const auto id = static_cast<net::PortId>(kFirstQueue + queue);
        for (const Bytes& frame : pair.a->receive(id)) pair.b->send(id, frame);
      }
      for (int i = 0; i < 3; ++i) turn(pair.b);
      for (const net::PortId id : pair.b->ports()) pair.b->receive(id);
      for (const net::PortId id : pair.a->ports()) pair.a->receive(id);
    }
    EXPECT_EQ(in_turns, 0u);
    EXPECT_GT(pair.b->drops(net::Drop::kTtlExceeded), 10u);
    EXPECT_GT(pair.b->drops(net::Drop::kTunnelTransit), 10u);
    if (shape.is_encapsulated) { EXPECT_GT(pair.a->drops(net::Drop::kPacketTooBig), 10u); }
    EXPECT_GT(pair.b->sum(&PortCounters::tx_packets), 300u);
  }
}

}  // namespace
}  // namespace millrace::datapath
