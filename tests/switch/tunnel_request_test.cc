// What an Apply may say of the underlay and of tunnels, and what the errors name.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iterator>

#include "tests/switch/test_switch.h"
#include "tests/switch/test_tunnels.h"

namespace millrace::control::switchd {
namespace {

using net::ErrorCode;

struct Refusal {
  const char* name;
  std::function<void(api::ApplyRequest&)> edit;  // of a right request with tunnels "b" and "c"
  const char* error;
  ErrorCode code = ErrorCode::kInvalidArgument;
};

std::vector<Refusal> underlay_rows() {
  const auto underlay = [](auto edit) {
    return [edit](api::ApplyRequest& request) { edit(*request.mutable_underlay()); };
  };
  return {
      {"no VNI", underlay([](auto& u) { u.set_vni(0); }), "underlay.vni: 0; allowed: 1..16777215"},
      {"a VNI of 25 bits", underlay([](auto& u) { u.set_vni(1u << 24); }),
       "underlay.vni: 16777216; allowed: 1..16777215"},
      {"no port", underlay([](auto& u) { u.set_udp_port(0); }), "underlay.udp_port: 0; allowed: 1..65535"},
      {"a port of 17 bits", underlay([](auto& u) { u.set_udp_port(65536); }), "underlay.udp_port: 65536; allowed"},
      {"no VTEP MAC", underlay([](auto& u) { u.clear_vtep_mac(); }), "underlay.vtep_mac: 0 bytes; allowed: 6"},
      {"no address", underlay([](auto& u) { u.clear_ipv4(), u.clear_ipv6(); }), "underlay: neither ipv4 nor ipv6"},
      {"IPv6 as IPv4", underlay([](auto& u) { u.set_ipv4(bytes_of("2001:db8::1")); }),
       "underlay.ipv4: 2001:db8::1; allowed: IPv4"},
      {"link-local", underlay([](auto& u) { u.set_ipv6(bytes_of("fe80::1")); }),
       "underlay.ipv6: fe80::1 is link-local"},
      {"a local prefix with host bits", underlay([](auto& u) { add_prefix("10.1.0.1", 24, *u.add_local_prefixes()); }),
       "underlay.local_prefixes[0]: 10.1.0.1/24 has bits beyond its length"},
      {"a local prefix twice", underlay([](auto& u) {
         add_prefix("10.1.0.0", 24, *u.add_local_prefixes());
         add_prefix("10.1.0.0", 24, *u.add_local_prefixes());
       }),
       "underlay.local_prefixes[1]: 10.1.0.0/24 is named twice"},
      {"tunnels without an underlay", [](api::ApplyRequest& request) { request.clear_underlay(); },
       "upsert_tunnels[0]: there is no underlay"},
  };
}

std::vector<Refusal> tunnel_rows() {
  const auto tunnel = [](auto edit) {
    return [edit](api::ApplyRequest& request) { edit(*request.mutable_upsert_tunnels(1)); };
  };
  return {
      {"no name", tunnel([](auto& t) { t.clear_name(); }), "upsert_tunnels[1].name: empty; allowed: 1..253"},
      {"a long name", tunnel([](auto& t) { t.set_name(std::string(254, 'n')); }), "upsert_tunnels[1].name: 254"},
      {"a name with a control character", tunnel([](auto& t) { t.set_name("b\n"); }),
       "upsert_tunnels[1].name: control character 0x0a"},
      {"the name twice", tunnel([](auto& t) { t.set_name("b"); }), "upsert_tunnels[1].name: \"b\" is named twice"},
      {"no remote", tunnel([](auto& t) { t.clear_remote(); }), "upsert_tunnels[1].remote: 0 bytes; allowed: 4 (IPv4)"},
      {"a multicast remote", tunnel([](auto& t) { t.set_remote(bytes_of("224.0.0.1")); }),
       "upsert_tunnels[1].remote: 224.0.0.1; allowed: a unicast address"},
      {"the remote of another", tunnel([](auto& t) { t.set_remote(bytes_of("192.0.2.2")); }),
       "upsert_tunnels[1].remote: 192.0.2.2 is also that of tunnel \"b\""},
      {"this node as remote", tunnel([](auto& t) { t.set_remote(bytes_of("192.0.2.1")); }),
       "upsert_tunnels[1].remote: 192.0.2.1 is this node's own"},
      {"a remote of a family that the node has not",
       [](api::ApplyRequest& request) {
         request.mutable_underlay()->clear_ipv6();
         request.mutable_upsert_tunnels(1)->set_remote(bytes_of("2001:db8::3"));
       },
       "upsert_tunnels[1].remote: 2001:db8::3; the underlay has no address of IPv6"},
      {"no encapsulation", tunnel([](auto& t) { t.clear_encapsulation(); }),
       "upsert_tunnels[1].encapsulation: 0; allowed"},
      {"no MAC for VXLAN", tunnel([](auto& t) { t.clear_remote_vtep_mac(); }),
       "upsert_tunnels[1].remote_vtep_mac: 0 bytes; allowed: 6"},
      {"a prefix too long", tunnel([](auto& t) { t.mutable_prefixes(0)->set_length(33); }),
       "upsert_tunnels[1].prefixes[0].length: 33; allowed: 0..32"},
      {"the prefix of another tunnel", tunnel([](auto& t) { add_prefix("10.2.0.0", 24, *t.add_prefixes()); }),
       "upsert_tunnels[1].prefixes[1]: 10.2.0.0/24 is also that of tunnel \"b\""},
      {"the address of a pod", tunnel([](auto& t) { add_prefix("10.1.0.7", 32, *t.add_prefixes()); }),
       "upsert_tunnels[1].prefixes[1]: 10.1.0.7/32 is also that of port \"pod\""},
      {"the prefix of the host port", tunnel([](auto& t) { add_prefix("0.0.0.0", 0, *t.add_prefixes()); }),
       "upsert_tunnels[1].prefixes[1]: 0.0.0.0/0 is also that of port \"node\""},
      {"too many prefixes", tunnel([](auto& t) {
         for (int i = 0; i < 1025; ++i) add_prefix("10.9.0.0", 24, *t.add_prefixes());
       }),
       "upsert_tunnels[1].prefixes: 1026 entries; allowed: at most 1024"},
      {"removed and there", [](api::ApplyRequest& request) { request.add_remove_tunnels(std::string("c")); },
       "remove_tunnels[0]: \"c\" is also in upsert_tunnels"},
      {"too many",
       [](api::ApplyRequest& request) {
         for (int i = 0; i < 1023; ++i) *request.add_upsert_tunnels() = tunnel_to("x", "192.0.2.9", {});
       },
       "upsert_tunnels: 1025 tunnels; the switch has room for 1024", ErrorCode::kResourceExhausted},
  };
}

TEST(TunnelRequest, AnErrorNamesTheFieldAndChangesNothing) {
  std::vector<Refusal> rows = underlay_rows();
  std::ranges::move(tunnel_rows(), std::back_inserter(rows));
  for (const Refusal& row : rows) {
    TestSwitch sw;
    ASSERT_TRUE(sw.apply(upsert({pod("pod", {"10.1.0.7"}), host("node", {"0.0.0.0/0"})})).ok());
    api::ApplyRequest request =
        tunnels({tunnel_to("b", "192.0.2.2", {"10.2.0.0/24"}), tunnel_to("c", "192.0.2.3", {"10.3.0.0/24"})});
    row.edit(request);
    const auto reply = sw.apply(request);
    ASSERT_FALSE(reply.ok()) << row.name;
    EXPECT_EQ(reply.error().code, row.code) << row.name;
    EXPECT_TRUE(reply.error().message.starts_with(row.error)) << row.name << ": " << reply.error().message;
    EXPECT_EQ(sw.state->generation(), 2u) << row.name;
    EXPECT_EQ(sw.state->list_tunnels().tunnels_size(), 0) << row.name;
  }
}

TEST(TunnelRequest, APortThatComesToATunnelIsBlamedOnWhatCollides) {
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(tunnels({tunnel_to("b", "192.0.2.2", {"10.2.0.0/24", "10.2.0.1/32"})})).ok());
  const auto reply = sw.apply(upsert({pod("pod", {"10.2.0.1"})}));
  ASSERT_FALSE(reply.ok());
  EXPECT_EQ(reply.error().message, "tunnel \"b\".prefixes[1]: 10.2.0.1/32 is also that of port \"pod\"");
  EXPECT_TRUE(sw.apply(upsert({pod("pod", {"10.2.0.2"})})).ok()) << "a pod here inside of another node's block";
  EXPECT_TRUE(sw.apply(upsert({host("node", {"0.0.0.0/0", "10.0.0.0/8"})})).ok()) << "a block inside of the host's";
}

TEST(TunnelRequest, WhatWasAskedForIsWhatIsListed) {
  TestSwitch sw;
  const api::ApplyRequest request =
      tunnels({tunnel_to("b", "192.0.2.2", {"10.2.0.0/24"}), tunnel_to("c", "2001:db8::3", {"fd00:3::/64"})});
  ASSERT_TRUE(sw.apply(request).ok());
  const api::ListTunnelsReply list = sw.state->list_tunnels();
  EXPECT_EQ(list.underlay().SerializeAsString(), request.underlay().SerializeAsString());
  ASSERT_EQ(list.tunnels_size(), 2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(list.tunnels(i).spec().SerializeAsString(), request.upsert_tunnels(i).SerializeAsString());
  }
}

}  // namespace
}  // namespace millrace::control::switchd
