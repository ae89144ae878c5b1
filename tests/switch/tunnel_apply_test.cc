// Ways to other nodes as a part of the state: where they stand, what a change of the underlay publishes, and their ids.
#include <gtest/gtest.h>

#include <algorithm>

#include "control/switch/trace.h"
#include "datapath/tunnel_builder.h"
#include "tests/switch/test_switch.h"
#include "tests/switch/test_tunnels.h"

namespace millrace::control::switchd {
namespace {

const net::Mac kHopMac = net::Mac::parse("02:00:00:00:09:09").value();

net::IpAddress ip(const char* text) { return net::IpAddress::parse(text).value(); }

struct Tunnels : testing::Test {
  Tunnels() {
    EXPECT_TRUE(sw.apply(upsert({uplink("eth"), pod("pod", {"10.1.0.7"}), host("node", {"0.0.0.0/0"})})).ok());
    link = static_cast<int>(sw.opener.number_of("veth-eth"));
  }

  UnderlayWay on_link(const char* remote) const { return {link, "eth", ip(remote), false, kHopMac, 1500}; }
  UnderlayWay by_router() const { return {link, "eth", ip("192.0.2.254"), true, kHopMac, 1500}; }
  api::TunnelStatus status(const std::string& name) const {
    const api::ListTunnelsReply list = sw.state->list_tunnels();
    for (const api::TunnelStatus& tunnel : list.tunnels()) {
      if (tunnel.spec().name() == name) return tunnel;
    }
    return {};
  }
  const datapath::Tunnel& in_force(const char* address) const {
    const datapath::Snapshot& snapshot = *sw.publisher.current();
    return tunnel_of(snapshot, snapshot.routes.lookup(net::Ipv4::parse(address).value()));
  }
  std::uint64_t used(const std::string& table) const {
    for (const api::TableStatus& row : sw.state->tables()) {
      if (row.name() == table) return row.used();
    }
    return 999;
  }

  TestSwitch sw;
  int link = 0;
};

TEST_F(Tunnels, WhereATunnelStandsFollowsFromTheWay) {
  struct Row {
    const char* name;
    api::Encapsulation asked;
    std::optional<UnderlayWay> way;
    api::TunnelState state;
    api::Encapsulation in_use;
    std::uint32_t mtu;
  };
  const UnderlayWay near = on_link("192.0.2.2");
  const UnderlayWay far = by_router();
  UnderlayWay silent = near, other = near, narrow = near, tiny = near;
  silent.mac.reset();
  other.link = link + 1;
  narrow.mtu_bytes = 1400;
  tiny.mtu_bytes = 600;
  constexpr auto kVxlan = api::ENCAPSULATION_VXLAN;
  constexpr auto kCross = api::ENCAPSULATION_CROSS_SUBNET;
  constexpr auto kNone = api::ENCAPSULATION_NONE;
  const std::vector<Row> rows = {
      {"no route", kVxlan, std::nullopt, api::TUNNEL_STATE_NO_ROUTE, kVxlan, 0},
      {"another interface", kVxlan, other, api::TUNNEL_STATE_NOT_UPLINK, kVxlan, 0},
      {"nobody answers", kVxlan, silent, api::TUNNEL_STATE_NO_NEIGHBOR, kVxlan, 0},
      {"on the link", kVxlan, near, api::TUNNEL_STATE_UP, kVxlan, 1450},
      {"by a router", kVxlan, far, api::TUNNEL_STATE_UP, kVxlan, 1450},
      {"a narrow path", kVxlan, narrow, api::TUNNEL_STATE_UP, kVxlan, 1350},
      {"a path for nobody", kVxlan, tiny, api::TUNNEL_STATE_NO_ROUTE, kVxlan, 0},
      {"crossSubnet on the link", kCross, near, api::TUNNEL_STATE_UP, kNone, 1500},
      {"crossSubnet by a router", kCross, far, api::TUNNEL_STATE_UP, kVxlan, 1450},
      {"crossSubnet without a route", kCross, std::nullopt, api::TUNNEL_STATE_NO_ROUTE, kVxlan, 0},
      {"none on the link", kNone, near, api::TUNNEL_STATE_UP, kNone, 1500},
      {"none by a router", kNone, far, api::TUNNEL_STATE_UP, kNone, 1500},
  };
  for (const Row& row : rows) {
    sw.underlay.table.clear();
    if (row.way) sw.underlay.table.emplace(ip("192.0.2.2"), *row.way);
    ASSERT_TRUE(sw.state->underlay_changed().ok());
    ASSERT_TRUE(sw.apply(tunnels({tunnel_to("b", "192.0.2.2", {"10.2.0.0/24"}, row.asked)})).ok()) << row.name;
    const api::TunnelStatus told = status("b");
    EXPECT_EQ(told.state(), row.state) << row.name;
    EXPECT_EQ(told.encapsulation(), row.in_use) << row.name;
    EXPECT_EQ(told.mtu(), row.mtu) << row.name;
    EXPECT_EQ(told.next_hop(), row.way ? bytes_of(row.way->next_hop.to_string()) : "") << row.name;
    EXPECT_EQ(told.interface(), row.way ? "eth" : "") << row.name;
    EXPECT_EQ(in_force("10.2.0.9").is_resolved, row.state == api::TUNNEL_STATE_UP) << row.name;
    EXPECT_EQ(in_force("10.2.0.9").is_encapsulated, row.in_use == kVxlan) << row.name;
    EXPECT_EQ(sw.underlay.followed, std::set{ip("192.0.2.2")});
    EXPECT_EQ(sw.underlay.followed_uplinks, std::set{link});
  }
}

TEST_F(Tunnels, AChangeOfTheUnderlayPublishesAndNothingElseDoes) {
  sw.underlay.table = {{ip("192.0.2.2"), on_link("192.0.2.2")}};
  ASSERT_TRUE(sw.apply(tunnels({tunnel_to("b", "192.0.2.2", {"10.2.0.0/24"})})).ok());
  const std::uint64_t before = sw.state->generation();
  ASSERT_TRUE(sw.state->underlay_changed().ok());
  EXPECT_EQ(sw.state->generation(), before) << "all is as it was";
  sw.underlay.table[ip("198.51.100.9")] = by_router();
  ASSERT_TRUE(sw.state->underlay_changed().ok());
  EXPECT_EQ(sw.state->generation(), before) << "the way to nobody's remote";
  sw.underlay.table[ip("192.0.2.2")].mac = net::Mac::parse("02:00:00:00:09:0a").value();
  ASSERT_TRUE(sw.state->underlay_changed().ok());
  EXPECT_EQ(sw.state->generation(), before + 1);
  EXPECT_TRUE(sw.publisher.seen_by_all(before + 1));
  EXPECT_EQ(status("b").next_hop_mac(), mac_bytes("02:00:00:00:09:0a"));
  sw.underlay.table.clear();
  ASSERT_TRUE(sw.state->underlay_changed().ok());
  EXPECT_EQ(status("b").state(), api::TUNNEL_STATE_NO_ROUTE);
  EXPECT_FALSE(in_force("10.2.0.9").is_resolved);
}

TEST_F(Tunnels, WithoutItsUplinkATunnelIsDown) {
  sw.underlay.table = {{ip("192.0.2.2"), on_link("192.0.2.2")}};
  ASSERT_TRUE(sw.apply(tunnels({tunnel_to("b", "192.0.2.2", {"10.2.0.0/24"})})).ok());
  ASSERT_EQ(status("b").state(), api::TUNNEL_STATE_UP);
  ASSERT_TRUE(sw.apply(remove({"eth"})).ok());
  EXPECT_EQ(status("b").state(), api::TUNNEL_STATE_NOT_UPLINK);
  EXPECT_TRUE(sw.underlay.followed_uplinks.empty());
  ASSERT_TRUE(sw.apply(upsert({uplink("eth")})).ok());
  EXPECT_EQ(status("b").state(), api::TUNNEL_STATE_UP);
}

TEST_F(Tunnels, TheSameRequestAgainIsTheSameGeneration) {
  const auto request = tunnels({tunnel_to("b", "192.0.2.2", {"10.2.0.0/24"}), tunnel_to("c", "192.0.2.3", {})});
  ASSERT_TRUE(sw.apply(request).ok());
  const std::uint64_t before = sw.state->generation();
  ASSERT_TRUE(sw.apply(request).ok());
  api::ApplyRequest nothing;
  nothing.add_remove_tunnels("not there");
  ASSERT_TRUE(sw.apply(nothing).ok());
  EXPECT_EQ(sw.state->generation(), before);
  EXPECT_EQ(used("tunnels"), 2u);
  EXPECT_EQ(used("tunnel_prefixes"), 1u);
}

TEST_F(Tunnels, ReplaceAllRemovesThoseThatAreNotNamedAndKeepsTheUnderlay) {
  ASSERT_TRUE(sw.apply(tunnels({tunnel_to("b", "192.0.2.2", {"10.2.0.0/24"}), tunnel_to("c", "192.0.2.3", {})})).ok());
  api::ApplyRequest request = replace({uplink("eth")});
  *request.add_upsert_tunnels() = tunnel_to("c", "192.0.2.3", {"10.2.0.0/24"});
  ASSERT_TRUE(sw.apply(request).ok());
  const auto list = sw.state->list_tunnels();
  ASSERT_EQ(list.tunnels_size(), 1);
  EXPECT_EQ(list.tunnels(0).spec().name(), "c");
  EXPECT_EQ(list.underlay().vni(), 4096u);
}

TEST_F(Tunnels, AnIndexIsFreeOnlyWhenEveryWorkerHasPassed) {
  ASSERT_TRUE(sw.apply(tunnels({tunnel_to("b", "192.0.2.2", {"10.2.0.0/24"})})).ok());
  const auto names = [&] {
    const std::vector<std::string> all = sw.state->port_names();
    return std::vector<std::string>(all.begin() + 8, all.begin() + 11);
  };
  EXPECT_EQ(names(), (std::vector<std::string>{"b", "", ""}));
  for (datapath::WorkerCounters* counters : sw.access.counters) counters->tunnel(0).tx_packets.add(5);
  EXPECT_EQ(status("b").tx_packets(), 10u);
  sw.away = {1};
  api::ApplyRequest request;
  request.add_remove_tunnels("b");
  EXPECT_EQ(sw.apply(request).error().code, net::ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(sw.access.counters[0]->tunnel(0).tx_packets.get(), 5u) << "a worker may still count there";
  sw.away.clear();
  ASSERT_TRUE(sw.apply(request).ok());
  EXPECT_EQ(sw.access.counters[0]->tunnel(0).tx_packets.get(), 0u);
  ASSERT_TRUE(sw.apply(tunnels({tunnel_to("c", "192.0.2.3", {})})).ok());
  EXPECT_EQ(names(), (std::vector<std::string>{"", "c", ""})) << "the index of one that went is the last to be used";
}

TEST_F(Tunnels, AsManyAsThereMayBeArePutInThePlaceOfAsMany) {
  const auto many = [](int first) {
    std::vector<api::Tunnel> list;
    for (int i = first; i < first + static_cast<int>(kTunnelLimit); ++i) {
      const std::string tail = std::to_string(i / 256) + "." + std::to_string(i % 256);
      list.push_back(tunnel_to("n" + std::to_string(i), "172.16." + tail, {"10." + tail + ".0/24"}));
    }
    return tunnels(list);
  };
  ASSERT_TRUE(sw.apply(many(0)).ok());
  EXPECT_EQ(used("tunnels"), kTunnelLimit);
  const auto more = sw.apply(tunnels({tunnel_to("x", "192.0.2.2", {})}));
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().code, net::ErrorCode::kResourceExhausted);
  api::ApplyRequest others = many(5000);
  others.set_replace_all(true);
  const auto replaced = sw.apply(others);
  ASSERT_TRUE(replaced.ok()) << replaced.error().message;
  EXPECT_EQ(used("tunnels"), kTunnelLimit);
  EXPECT_EQ(status("n5000").spec().name(), "n5000");
}

TEST_F(Tunnels, UplinksTakeVxlanAsLongAsThereIsAnUnderlay) {
  sw.opener.uplink_calls.clear();
  api::ApplyRequest request = tunnels({});
  add_prefix("10.1.0.0", 24, *request.mutable_underlay()->add_local_prefixes());
  ASSERT_TRUE(sw.apply(request).ok());
  const std::string rules = " 0 frontends, masquerade 0.0.0.0, VXLAN at 192.0.2.1, 1 prefixes";
  EXPECT_EQ(sw.opener.uplink_calls, (std::vector<std::string>{"widen" + rules, "narrow" + rules}));
}

TEST_F(Tunnels, ATraceAndReportsNameTheTunnel) {
  sw.underlay.table = {{ip("192.0.2.2"), on_link("192.0.2.2")}};
  ASSERT_TRUE(sw.apply(tunnels({tunnel_to("node-b", "192.0.2.2", {"10.2.0.0/24"})})).ok());
  const PortView view = sw.state->port_view();
  const net::PortId id = sw.publisher.current()->routes.lookup(net::Ipv4::parse("10.2.0.9").value());
  ASSERT_NE(view.find(id), nullptr);
  EXPECT_EQ(view.find(id)->name, "node-b");
  EXPECT_EQ(view.find(id)->description, "tunnel to 192.0.2.2");
  EXPECT_FALSE(view.by_name.contains("node-b")) << "it is no port to name";

  const auto traced = [&](const char* source, const char* destination) {
    const auto told = sw.state->trace({{ip(source), ip(destination), 1000, 80}, net::ip_protocol::kTcp});
    EXPECT_TRUE(told.ok()) << source;
    return told.ok() ? *told : api::TraceReply();
  };
  const api::TraceReply there = traced("10.1.0.7", "10.2.0.9");
  EXPECT_EQ(there.in().name(), "pod");
  EXPECT_EQ(there.out().name(), "node-b");
  EXPECT_EQ(there.out().description(), "tunnel to 192.0.2.2");
  EXPECT_EQ(there.drop(), "");
  const api::TraceReply here = traced("10.2.0.9", "10.1.0.7");
  EXPECT_EQ(here.in().name(), "node-b");
  EXPECT_EQ(here.out().name(), "pod");
  EXPECT_EQ(here.drop(), "");
  EXPECT_EQ(traced("10.2.0.9", "198.51.100.7").drop(), "tunnel_transit");
}

}  // namespace
}  // namespace millrace::control::switchd
