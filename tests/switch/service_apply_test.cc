// Services, masquerade and ports in one Apply: all of it or nothing, and what the workers look services up in after it.
#include <gtest/gtest.h>

#include <utility>

#include "tests/switch/test_services.h"
#include "tests/switch/test_switch.h"

namespace millrace::control::switchd {
namespace {

api::ApplyRequest upsert_services(const std::vector<api::Service>& services) {
  api::ApplyRequest request;
  for (const api::Service& wire : services) *request.add_upsert_services() = wire;
  return request;
}

/// The service that workers find behind an address, "" when none.
std::string service_at(const TestSwitch& sw, const std::string& address, std::uint16_t port = 80) {
  const nat::Service* found =
      sw.publisher.current()->services->service_of(net::IpAddress::parse(address).value(), 6, port);
  if (found == nullptr) return {};
  return nat::name_of(*found);
}

void expect_ok(const net::Result<api::ApplyReply>& reply, std::uint64_t generation) {
  ASSERT_TRUE(reply.ok()) << reply.error().message;
  EXPECT_EQ(reply->generation(), generation);
}

TEST(ServiceApply, ServicesAreReplacedAndRemovedByName) {
  TestSwitch sw;
  expect_ok(sw.apply(upsert_services(
                {service("a", "10.96.0.1", 80, {"10.0.0.1"}), service("b", "10.96.0.2", 80, {"10.0.0.1"})})),
            2);
  EXPECT_EQ(service_at(sw, "10.96.0.1"), "a");
  EXPECT_EQ(service_at(sw, "10.96.0.2"), "b");

  api::ApplyRequest change = upsert_services({service("a", "10.96.0.3", 80, {"10.0.0.1"})});
  change.add_remove_services("b");
  change.add_remove_services("never there");
  expect_ok(sw.apply(change), 3);
  EXPECT_EQ(service_at(sw, "10.96.0.1"), "");
  EXPECT_EQ(service_at(sw, "10.96.0.2"), "");
  EXPECT_EQ(service_at(sw, "10.96.0.3"), "a");
}

TEST(ServiceApply, ReplaceAllRemovesServicesThatAreNotNamed) {
  TestSwitch sw;
  expect_ok(sw.apply(upsert_services({service("a", "10.96.0.1", 80, {}), service("b", "10.96.0.2", 80, {})})), 2);
  api::ApplyRequest whole = upsert_services({service("b", "10.96.0.2", 80, {})});
  whole.set_replace_all(true);
  expect_ok(sw.apply(whole), 3);
  EXPECT_EQ(service_at(sw, "10.96.0.1"), "");
  EXPECT_EQ(service_at(sw, "10.96.0.2"), "b");
}

TEST(ServiceApply, TheSameServicesAgainAreTheSameGenerationAndTheSameTable) {
  TestSwitch sw;
  api::ApplyRequest request = upsert_services({service("a", "10.96.0.1", 80, {"10.0.0.1"})});
  request.mutable_nat()->set_masquerade_ipv4(bytes_of("192.0.2.1"));
  expect_ok(sw.apply(request), 2);
  const auto table = sw.publisher.current()->services;
  expect_ok(sw.apply(request), 2);
  request.set_replace_all(true);
  expect_ok(sw.apply(request), 2);
  expect_ok(sw.apply(upsert({pod("p", {"10.0.0.1"})})), 3);
  EXPECT_EQ(sw.publisher.current()->services, table) << "a change of ports does not build services";
}

TEST(ServiceApply, MasqueradeIsKeptUntilItIsNamedAgain) {
  TestSwitch sw;
  api::ApplyRequest request;
  request.mutable_nat()->set_masquerade_ipv4(bytes_of("192.0.2.1"));
  api::PortSpec masqueraded = pod("p", {"10.0.0.1"});
  masqueraded.set_masquerade(true);
  *request.add_upsert_ports() = masqueraded;
  expect_ok(sw.apply(request), 2);
  expect_ok(sw.apply(upsert({pod("q", {"10.0.0.2"})})), 3);
  const datapath::NatRules& rules = sw.publisher.current()->nat;
  EXPECT_EQ(rules.masquerade_v4.to_string(), "192.0.2.1");
  EXPECT_TRUE(rules.ports.holds(40960) && rules.ports.holds(65535) && !rules.ports.holds(40959));
  const api::ListPortsReply list = sw.state->list_ports();
  for (const api::PortStatus& status : list.ports()) {
    EXPECT_EQ(status.spec().masquerade(), status.spec().name() == "p") << status.spec().name();
    EXPECT_EQ(sw.publisher.current()->ports[status.id()].masquerade, status.spec().masquerade());
  }
  request.mutable_nat()->Clear();
  expect_ok(sw.apply(request), 4);
  EXPECT_TRUE(sw.publisher.current()->nat.masquerade_v4.is_unspecified());
}

struct Refused {
  const char* name;
  void (*edit)(api::ApplyRequest&);
  const char* error;
};

const Refused kRefused[] = {
    {"a service", [](api::ApplyRequest& r) { r.mutable_upsert_services(0)->mutable_frontends(0)->set_port(70000); },
     "upsert_services[0].frontends[0].port: 70000; allowed: 1..65535"},
    {"a frontend of another service",
     [](api::ApplyRequest& r) {
       *r.mutable_upsert_services(0)->mutable_frontends(0) = service("x", "10.96.0.1", 80, {}).frontends(0);
     },
     "upsert_services[0].frontends[0]: 10.96.0.1 port 80/tcp is a frontend of service a already"},
    {"the masquerade", [](api::ApplyRequest& r) { r.mutable_nat()->set_masquerade_ipv4(std::string(2, 'x')); },
     "nat.masquerade_ipv4: 2 bytes; allowed: 4"},
    {"a port", [](api::ApplyRequest& r) { r.mutable_upsert_ports(0)->set_mtu(1); },
     "upsert_ports[0].mtu: 1; allowed: 576..1500"},
    {"a masquerade of the host",
     [](api::ApplyRequest& r) {
       r.mutable_upsert_ports(0)->set_kind(api::PORT_KIND_HOST);
       r.mutable_upsert_ports(0)->set_masquerade(true);
     },
     "upsert_ports[0].masquerade: true; allowed: for PORT_KIND_POD alone"},
    {"an interface that is not there", [](api::ApplyRequest& r) { r.mutable_upsert_ports(0)->set_interface("gone"); },
     "upsert_ports[0].interface: no interface gone"},
};

TEST(ServiceApply, AnErrorAnywhereLeavesAllAsItWas) {
  TestSwitch sw;
  sw.opener.missing = {"gone"};
  expect_ok(sw.apply(upsert_services({service("a", "10.96.0.1", 80, {"10.0.0.1"})})), 2);
  const auto before = sw.publisher.current();
  for (const Refused& row : kRefused) {
    SCOPED_TRACE(row.name);
    api::ApplyRequest request = upsert_services({service("b", "10.96.0.2", 80, {"10.0.0.1"})});
    request.add_remove_services(std::string(1, 'a'));
    *request.add_upsert_ports() = pod("p", {"10.0.0.9"});
    request.mutable_nat()->set_masquerade_ipv4(bytes_of("192.0.2.1"));
    if (std::string(row.error).find("of service a already") != std::string::npos) request.clear_remove_services();
    row.edit(request);
    const auto reply = sw.apply(request);
    ASSERT_FALSE(reply);
    EXPECT_TRUE(reply.error().message.starts_with(row.error)) << reply.error().message;
    EXPECT_EQ(sw.publisher.current(), before);
    EXPECT_EQ(sw.opener.open_count(), 0u);
    EXPECT_EQ(sw.state->services()->by_name.size(), 1u);
  }
}

api::PortSpec uplink(const std::string& name) {
  api::PortSpec port = pod(name, {});
  port.set_kind(api::PORT_KIND_UPLINK);
  return port;
}

TEST(ServiceApply, UplinksTakeWhatIsServedBeforeItIsAndLeaveItAfter) {
  TestSwitch sw;
  api::ApplyRequest request =
      upsert_services({service("inside", "10.96.0.1", 80, {}), service("outside", "192.0.2.9", 80, {})});
  request.mutable_nat()->set_masquerade_ipv4(bytes_of("192.0.2.1"));
  api::RoutePrefix* prefix = request.mutable_nat()->add_service_prefixes();
  prefix->set_address(bytes_of("10.96.0.0"));
  prefix->set_length(12);
  expect_ok(sw.apply(request), 2);
  EXPECT_TRUE(sw.opener.uplink_calls.empty()) << "there is no uplink";

  using Calls = std::vector<std::string>;
  expect_ok(sw.apply(upsert({uplink("eth0")})), 3);
  const std::string one = " 1 frontends, masquerade 192.0.2.1";
  EXPECT_EQ(std::exchange(sw.opener.uplink_calls, {}), (Calls{"widen" + one, "narrow" + one}));

  expect_ok(sw.apply(upsert({pod("p", {"10.0.0.1"})})), 4);
  EXPECT_TRUE(sw.opener.uplink_calls.empty()) << "nothing that uplinks serve has changed";

  sw.away = {1};
  api::ApplyRequest removal;
  removal.add_remove_services("outside");
  EXPECT_FALSE(sw.apply(removal)) << "a worker has not passed";
  const std::string none = " 0 frontends, masquerade 192.0.2.1";
  EXPECT_EQ(std::exchange(sw.opener.uplink_calls, {}), (Calls{"widen" + none}));
  sw.away.clear();
  expect_ok(sw.apply(removal), 5);
  EXPECT_EQ(std::exchange(sw.opener.uplink_calls, {}), (Calls{"narrow" + none}));

  expect_ok(sw.apply(remove({"eth0"})), 6);
  const std::string nothing = " 0 frontends, masquerade 0.0.0.0";
  EXPECT_EQ(sw.opener.uplink_calls, (Calls{"widen" + nothing, "narrow" + nothing}));
}

TEST(ServiceApply, AnInterfaceIsNotOpenAsAPodsAndAsAnUplink) {
  TestSwitch sw;
  expect_ok(sw.apply(upsert({pod("p", {})})), 2);
  const auto reply = sw.apply(upsert({uplink("p")}));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().message,
            "upsert_ports[0].interface: interface veth-p is open as a pod's or the host's; remove that port first");
}

TEST(ServiceApply, TablesSayHowFullTheyAre) {
  TestSwitch sw;
  expect_ok(sw.apply(upsert_services({service("a", "10.96.0.1", 80, {"10.0.0.1", "10.0.0.2"}),
                                      service("b", "10.96.0.2", 80, {"10.0.0.1"})})),
            2);
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> tables;
  for (const api::TableStatus& table : sw.state->tables()) tables[table.name()] = {table.used(), table.limit()};
  using Fill = std::pair<std::uint64_t, std::uint64_t>;
  EXPECT_EQ(tables.at("services"), Fill(2, 65536));
  EXPECT_EQ(tables.at("frontends"), Fill(2, 262144));
  EXPECT_EQ(tables.at("backends"), Fill(3, 1000000));
  EXPECT_EQ(tables.at("flows_ipv4"), Fill(0, 2048)) << "two workers of 1024";
  EXPECT_EQ(tables.at("snat_ports_ipv6_icmp"), Fill(0, 24576));
}

}  // namespace
}  // namespace millrace::control::switchd
