// Apply as a transaction: what is kept open, what is closed and when, what is counted, and what an error leaves.
#include "control/switch/switch_state.h"

#include <gtest/gtest.h>

#include "tests/switch/test_switch.h"

namespace millrace::control::switchd {
namespace {

using net::ErrorCode;

api::PortStatus port(const TestSwitch& sw, const std::string& name) {
  const api::ListPortsReply list = sw.state->list_ports();
  for (const api::PortStatus& status : list.ports()) {
    if (status.spec().name() == name) return status;
  }
  return {};
}

/// A frame that no switch forwards: shorter than an Ethernet header. It is counted and dropped by name.
void offer_short_frame(TestSwitch& sw, const std::string& interface) {
  net::Packet* packet = sw.pool.allocate();
  ASSERT_NE(packet, nullptr);
  packet->head_bytes = packet->length_bytes = 5;
  ASSERT_EQ(sw.opener.device(interface)->offer({&packet, 1}), 1u);
}

TEST(SwitchState, BeginsEmptyAtGenerationOne) {
  TestSwitch sw;
  EXPECT_EQ(sw.state->generation(), 1u);
  EXPECT_EQ(sw.state->port_count(), 0u);
  EXPECT_EQ(sw.publisher.current()->gateway.mac, kGatewayMac);
}

TEST(SwitchState, AnAppliedPortIsInTheSnapshotEveryWorkerHasSeen) {
  TestSwitch sw;
  const auto reply = sw.apply(upsert({pod("a", {"10.0.0.1", "fd00::1"})}));
  ASSERT_TRUE(reply.ok()) << reply.error().message;
  EXPECT_EQ(reply->generation(), 2u);
  EXPECT_TRUE(sw.publisher.seen_by_all(2));
  const net::PortId id = sw.publisher.current()->routes.lookup(net::Ipv4::parse("10.0.0.1").value());
  EXPECT_EQ(id, port(sw, "a").id());
  EXPECT_EQ(sw.publisher.current()->routes.lookup(net::Ipv6::parse("fd00::1").value()), id);
  EXPECT_EQ(sw.publisher.current()->ports[id].mtu_bytes, 1500);
}

TEST(SwitchState, WhatWasAskedForIsWhatIsListed) {
  TestSwitch sw;
  api::PortSpec spec = host("node", {"0.0.0.0/0", "::/0"});
  spec.set_description("the node\xe2\x80\x99s own");
  ASSERT_TRUE(sw.apply(upsert({spec})).ok());
  EXPECT_EQ(port(sw, "node").spec().SerializeAsString(), spec.SerializeAsString());
  EXPECT_EQ(port(sw, "node").state(), api::PORT_STATE_UP);
  EXPECT_EQ(port(sw, "node").xdp_mode(), "memory");
}

TEST(SwitchState, TheSameRequestAgainIsTheSameGeneration) {
  TestSwitch sw;
  const auto first = sw.apply(replace({pod("a", {"10.0.0.1"}), pod("b", {"10.0.0.2"})}));
  const auto second = sw.apply(replace({pod("b", {"10.0.0.2"}), pod("a", {"10.0.0.1"})}));
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->generation(), second->generation());
  EXPECT_EQ(sw.opener.opened(), 2u);
}

TEST(SwitchState, NewPortsGoToTheWorkerThatHasTheFewest) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({pod("a", {}), pod("b", {}), pod("c", {})})).ok());
  ASSERT_TRUE(sw.apply(remove({"b"})).ok());
  ASSERT_TRUE(sw.apply(upsert({pod("d", {})})).ok());
  EXPECT_EQ(port(sw, "a").worker(), 0u);
  EXPECT_EQ(port(sw, "c").worker(), 0u);
  EXPECT_EQ(port(sw, "d").worker(), 1u);
}

struct KeepCase {
  std::string name;
  void (*edit)(api::PortSpec&);
  bool reopened;
};

TEST(SwitchState, OnlyAnotherInterfaceReopensAPort) {
  const std::vector<KeepCase> cases = {
      {"address", [](api::PortSpec& p) { p.set_addresses(0, bytes_of("10.0.0.77")); }, false},
      {"MAC", [](api::PortSpec& p) { p.set_mac("\x02zzzzz"); }, false},
      {"mtu", [](api::PortSpec& p) { p.set_mtu(1400); }, false},
      {"kind", [](api::PortSpec& p) { p.set_kind(api::PORT_KIND_HOST); }, false},
      {"description", [](api::PortSpec& p) { p.set_description("other"); }, false},
      {"interface", [](api::PortSpec& p) { p.set_interface("veth-other"); }, true},
  };
  for (const KeepCase& row : cases) {
    SCOPED_TRACE(row.name);
    TestSwitch sw;
    ASSERT_TRUE(sw.apply(upsert({pod("a", {"10.0.0.1"})})).ok());
    const std::uint32_t id = port(sw, "a").id();
    api::PortSpec changed = pod("a", {"10.0.0.1"});
    row.edit(changed);
    const auto reply = sw.apply(upsert({changed}));
    ASSERT_TRUE(reply.ok()) << reply.error().message;
    EXPECT_EQ(reply->generation(), 3u);
    EXPECT_EQ(port(sw, "a").id(), id);
    EXPECT_EQ(port(sw, "a").spec().SerializeAsString(), changed.SerializeAsString());
    EXPECT_EQ(sw.opener.opened(), row.reopened ? 2u : 1u);
    EXPECT_EQ(sw.opener.open_count(), 1u);
  }
}

TEST(SwitchState, APacketThatWaitsSurvivesARenameOfItsPort) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({pod("a", {"10.0.0.1"})})).ok());
  offer_short_frame(sw, "veth-a");
  api::PortSpec renamed = pod("b", {"10.0.0.1"});
  renamed.set_interface("veth-a");
  ASSERT_TRUE(sw.apply(replace({renamed})).ok());
  EXPECT_EQ(sw.opener.opened(), 1u);
  EXPECT_EQ(port(sw, "b").totals().drops().at("frame_too_short"), 1u);
}

TEST(SwitchState, TwoPortsMayExchangeTheirInterfaces) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({pod("a", {"10.0.0.1"}), pod("b", {"10.0.0.2"})})).ok());
  api::PortSpec a = pod("a", {"10.0.0.1"});
  api::PortSpec b = pod("b", {"10.0.0.2"});
  a.mutable_interface()->swap(*b.mutable_interface());
  ASSERT_TRUE(sw.apply(upsert({a, b})).ok());
  EXPECT_EQ(sw.opener.opened(), 2u);
  EXPECT_EQ(sw.opener.open_count(), 2u);
  EXPECT_EQ(port(sw, "a").spec().interface(), "veth-b");
}

TEST(SwitchState, AnInterfaceThatIsNotThereFailsTheWholeRequest) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({pod("before", {"10.9.9.9"})})).ok());
  const std::string before = sw.ports();
  sw.opener.missing = {"veth-c"};
  const auto reply = sw.apply(upsert({pod("a", {"10.0.0.1"}), pod("b", {"10.0.0.2"}), pod("c", {"10.0.0.3"})}));
  ASSERT_FALSE(reply.ok());
  EXPECT_EQ(reply.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(reply.error().message, "upsert_ports[2].interface: no interface veth-c");
  EXPECT_EQ(sw.ports(), before);
  EXPECT_EQ(sw.state->generation(), 2u);
  EXPECT_EQ(sw.opener.open_count(), 1u);
}

TEST(SwitchState, ReplaceAllPutsTheOthersInForceAndTellsWhichFailed) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({pod("old", {"10.9.9.9"})})).ok());
  sw.opener.missing = {"veth-b"};
  const auto reply = sw.apply(replace({pod("a", {"10.0.0.1"}), pod("b", {"10.0.0.2"})}));
  ASSERT_TRUE(reply.ok()) << reply.error().message;
  ASSERT_EQ(reply->failures_size(), 1);
  EXPECT_EQ(reply->failures(0).name(), "b");
  EXPECT_EQ(reply->failures(0).message(), "upsert_ports[1].interface: no interface veth-b");
  EXPECT_EQ(sw.state->port_count(), 1u);
  EXPECT_EQ(port(sw, "a").spec().name(), "a");
}

TEST(SwitchState, OnePortMoreThanTheLimitIsRefusedByItsName) {
  TestSwitch sw({.port_limit = 3});
  ASSERT_TRUE(sw.apply(upsert({pod("a", {}), pod("b", {}), pod("c", {})})).ok());
  const auto one_more = sw.apply(upsert({pod("d", {})}));
  ASSERT_FALSE(one_more.ok());
  EXPECT_EQ(one_more.error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(one_more.error().message, "upsert_ports: 4 ports in all; portLimit of the switch is 3");
  EXPECT_EQ(sw.state->port_count(), 3u);
}

TEST(SwitchState, AFullSwitchCanBeReplacedByOthersAtOnce) {
  TestSwitch sw({.port_limit = 3});
  ASSERT_TRUE(sw.apply(upsert({pod("a", {"10.0.0.1"}), pod("b", {"10.0.0.2"}), pod("c", {"10.0.0.3"})})).ok());
  const auto reply = sw.apply(replace({pod("c", {"10.0.0.3"}), pod("d", {"10.0.0.1"}), pod("e", {"10.0.0.2"})}));
  ASSERT_TRUE(reply.ok()) << reply.error().message;
  EXPECT_EQ(sw.state->port_count(), 3u);
  EXPECT_EQ(sw.opener.open_count(), 3u);
}

TEST(SwitchState, AnAddressMayMoveFromARemovedPortToANewOne) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({pod("a", {"10.0.0.1"})})).ok());
  api::ApplyRequest request = upsert({pod("b", {"10.0.0.1"})});
  request.add_remove_ports("a");
  ASSERT_TRUE(sw.apply(request).ok());
  EXPECT_EQ(sw.publisher.current()->routes.lookup(net::Ipv4::parse("10.0.0.1").value()), port(sw, "b").id());
}

TEST(SwitchState, RemovingWhatIsNotThereIsNoErrorAndNoChange) {
  TestSwitch sw;
  const auto reply = sw.apply(remove({"nobody"}));
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->generation(), 1u);
}

TEST(SwitchState, CountersOfARemovedPortAreKeptInTheSumAndNotGivenToTheNextPort) {
  TestSwitch sw({.port_limit = 1});
  ASSERT_TRUE(sw.apply(upsert({pod("a", {"10.0.0.1"})})).ok());
  for (int i = 0; i < 3; ++i) offer_short_frame(sw, "veth-a");
  sw.step();
  EXPECT_EQ(port(sw, "a").totals().rx_packets(), 3u);
  EXPECT_EQ(port(sw, "a").totals().rx_bytes(), 15u);

  ASSERT_TRUE(sw.apply(replace({pod("b", {"10.0.0.1"})})).ok());
  EXPECT_EQ(port(sw, "b").totals().rx_packets(), 0u);
  offer_short_frame(sw, "veth-b");
  sw.step();
  const api::GetCountersReply counters = sw.state->counters();
  EXPECT_EQ(counters.removed_ports().rx_packets(), 3u);
  EXPECT_EQ(counters.removed_ports().drops().at("frame_too_short"), 3u);
  EXPECT_EQ(counters.workers_size(), 2);
  std::uint64_t received = 0;
  for (const api::WorkerCounters& worker : counters.workers()) {
    ASSERT_EQ(worker.ports_size(), 1);
    EXPECT_EQ(worker.ports(0).port(), "b");
    received += worker.ports(0).totals().rx_packets();
  }
  EXPECT_EQ(received, 1u);
  EXPECT_EQ(counters.drop_texts().size(), net::kDropCount - 1);
}

TEST(SwitchState, AnInterfaceDeletedBehindItsBackIsToldOnceAndRemovedByTheNextApply) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({pod("a", {"10.0.0.1"}), pod("b", {"10.0.0.2"})})).ok());
  sw.opener.remove("veth-a");
  EXPECT_EQ(sw.state->take_dead_ports(), std::vector<std::string>{"a"});
  EXPECT_EQ(sw.state->take_dead_ports(), std::vector<std::string>{});
  EXPECT_EQ(port(sw, "a").state(), api::PORT_STATE_INTERFACE_GONE);
  EXPECT_EQ(port(sw, "b").state(), api::PORT_STATE_UP);

  ASSERT_TRUE(sw.apply(upsert({pod("c", {"10.0.0.1"})})).ok()) << "its address is free again";
  EXPECT_EQ(sw.state->port_count(), 2u);
  EXPECT_EQ(sw.opener.open_count(), 2u);
}

TEST(SwitchState, AnInterfaceMadeAnewUnderTheSameNameIsOpenedAnew) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({pod("a", {"10.0.0.1"})})).ok());
  sw.opener.remove("veth-a");
  ASSERT_TRUE(sw.apply(upsert({pod("a", {"10.0.0.1"})})).ok());
  EXPECT_EQ(sw.opener.opened(), 2u);
  EXPECT_EQ(sw.opener.open_count(), 1u);
  EXPECT_EQ(port(sw, "a").state(), api::PORT_STATE_UP);
}

TEST(SwitchState, NothingIsClosedBeforeEveryWorkerHasPassed) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({pod("a", {"10.0.0.1"}), pod("b", {"10.0.0.2"})})).ok());
  sw.away = {1};
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto removed = sw.apply(remove({"a", "b"}));
    ASSERT_FALSE(removed.ok());
    EXPECT_EQ(removed.error().code, ErrorCode::kDeadlineExceeded);
    EXPECT_EQ(
        removed.error().message,
        "generation 3 is in force, but worker 1 (CPU 1) has not passed to it within 20 ms and forwards by an older "
        "one until it does; the same request again waits again");
    EXPECT_EQ(sw.state->generation(), 3u) << "the same request again publishes nothing";
    EXPECT_EQ(sw.state->port_count(), 0u);
    EXPECT_EQ(sw.opener.open_count(), 2u) << "worker 1 may still poll them";
  }
  sw.away.clear();
  const auto again = sw.apply(remove({"a"}));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->generation(), 3u);
  EXPECT_EQ(sw.opener.open_count(), 0u);
}

TEST(SwitchState, WhatALateWorkerKeptOpenIsClosedBeforeItIsOpenedAgain) {
  TestSwitch sw({.port_limit = 1});
  ASSERT_TRUE(sw.apply(upsert({pod("a", {"10.0.0.1"})})).ok());
  sw.away = {0, 1};
  ASSERT_EQ(sw.apply(remove({"a"})).error().code, ErrorCode::kDeadlineExceeded);
  sw.away.clear();
  sw.step();
  const auto again = sw.apply(upsert({pod("a", {"10.0.0.1"})}));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(sw.opener.opened(), 2u);
  EXPECT_EQ(sw.opener.open_count(), 1u);
}

TEST(SwitchState, AfterCloseNothingIsOpenAndNothingIsTaken) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({pod("a", {"10.0.0.1"})})).ok());
  ASSERT_TRUE(sw.state->close().ok());
  EXPECT_EQ(sw.opener.open_count(), 0u);
  const auto late = sw.apply(upsert({pod("a", {"10.0.0.1"})}));
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(late.error().message, "the switch is shutting down");
}

}  // namespace
}  // namespace millrace::control::switchd
