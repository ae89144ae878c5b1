// Policy of an ApplyRequest, field by field: what is refused and with which words, what is kept as the same object.
#include "control/switch/policy_request.h"

#include <gtest/gtest.h>

#include <functional>

#include "control/switch/policy_state.h"
#include "tests/switch/test_policy.h"

namespace millrace::control::switchd {
namespace {

using net::ErrorCode;

const std::string kA = "a";

struct Case {
  std::string name;
  std::function<void(api::ApplyRequest&)> edit;
  std::string error;  // what it begins with; "" when it is taken
  ErrorCode code = ErrorCode::kInvalidArgument;
};

/// One of each, and all right.
api::ApplyRequest right_request() {
  api::ApplyRequest request;
  *request.add_upsert_groups() = group("first", {1, 2});
  *request.add_upsert_groups() = group("second", {});
  api::PolicyRule from_block = block_rule(1, "10.0.0.0/8", {"10.1.0.0/16", "10.2.0.0/16"});
  *request.add_upsert_policies() = policy_of("web", {rule(0, {"first"}, {80}), from_block}, {rule(0, {"second"})});
  *request.add_upsert_policies() = policy_of("db", {rule(0, {})});
  *request.add_upsert_endpoints() = endpoint("10.0.0.1", 1);
  *request.add_upsert_endpoints() = endpoint("fd00::1", 1);
  *request.add_upsert_port_policies() = port_policy("a", {"web", "db"}, {"web"});
  *request.add_upsert_port_policies() = port_policy("b", {}, {});
  return request;
}

std::function<void(api::ApplyRequest&)> block(const std::function<void(api::IpBlock&)>& edit) {
  return [=](auto& r) { edit(*r.mutable_upsert_policies(0)->mutable_ingress(1)->mutable_blocks(0)); };
}
std::function<void(api::ApplyRequest&)> ports(const std::function<void(api::PolicyPort&)>& edit) {
  return [=](auto& r) { edit(*r.mutable_upsert_policies(0)->mutable_ingress(0)->mutable_ports(0)); };
}

const std::string kRule = "upsert_policies[0].ingress";

const std::vector<Case> kGroupCases = {
    {"as it should be", [](auto&) {}, ""},
    {"name empty", [](auto& r) { r.mutable_upsert_groups(1)->set_name(""); },
     "upsert_groups[1].name: empty; allowed: 1..4096 characters"},
    {"name of 4096", [](auto& r) { r.mutable_upsert_groups(1)->set_name(std::string(4096, 'n')); }, ""},
    {"name of 4097", [](auto& r) { r.mutable_upsert_groups(1)->set_name(std::string(4097, 'n')); },
     "upsert_groups[1].name: 4097 characters; allowed: at most 4096"},
    {"name with an escape", [](auto& r) { r.mutable_upsert_groups(1)->set_name("\x1b[2J"); },
     "upsert_groups[1].name: control character 0x1b at byte 0"},
    {"name twice", [](auto& r) { r.mutable_upsert_groups(1)->set_name("first"); },
     "upsert_groups[1].name: \"first\" is also that of upsert_groups[0]"},
    {"identity 0", [](auto& r) { r.mutable_upsert_groups(0)->set_identities(0, 0); },
     "upsert_groups[0].identities[0]: 0; allowed: more than 0"},
    {"identities not sorted", [](auto& r) { r.mutable_upsert_groups(0)->set_identities(1, 1); },
     "upsert_groups[0].identities[1]: 1; allowed: more than 1"},
    {"more identities than a set holds",
     [](auto& r) {
       for (std::uint32_t i = 3; i <= policy::kMaxPeers + 1; ++i) r.mutable_upsert_groups(0)->add_identities(i);
     },
     "upsert_groups[0].identities: 262145; a group holds 262144", ErrorCode::kResourceExhausted},
    {"removed and upserted", [](auto& r) { r.add_remove_groups("second"); },
     "remove_groups[0]: \"second\" is also in upsert_groups"},
};

const std::vector<Case> kPolicyCases = {
    {"name empty", [](auto& r) { r.mutable_upsert_policies(1)->clear_name(); },
     "upsert_policies[1].name: empty; allowed: 1..1024 characters"},
    {"name of 1025", [](auto& r) { r.mutable_upsert_policies(1)->set_name(std::string(1025, 'n')); },
     "upsert_policies[1].name: 1025 characters; allowed: at most 1024"},
    {"name twice", [](auto& r) { r.mutable_upsert_policies(1)->set_name("web"); },
     "upsert_policies[1].name: \"web\" is also that of upsert_policies[0]"},
    {"a name that is no text", [](auto& r) { r.mutable_upsert_policies(1)->set_object("\xc3("); },
     "upsert_policies[1].object: byte 0 is not valid UTF-8"},
    {"removed and upserted", [](auto& r) { r.add_remove_policies("web"); },
     "remove_policies[0]: \"web\" is also in upsert_policies"},
    {"cidr of no length", block([](auto& b) { b.mutable_cidr()->clear_address(); }),
     kRule + "[1].blocks[0].cidr.address: 0 bytes; allowed: 4 (IPv4) or 16 (IPv6)"},
    {"cidr with host bits", block([](auto& b) { b.mutable_cidr()->set_length(4); }),
     kRule + "[1].blocks[0].cidr: 10.0.0.0/4 has bits beyond its length; allowed: 0.0.0.0/4"},
    {"cidr of 33 bits", block([](auto& b) { b.mutable_cidr()->set_length(33); }),
     kRule + "[1].blocks[0].cidr.length: 33; allowed: 0..32"},
    {"hole with host bits", block([](auto& b) { b.mutable_except(1)->set_length(8); }),
     kRule + "[1].blocks[0].except[1]: 10.2.0.0/8 has bits beyond its length"},
    {"hole of 2 bytes", block([](auto& b) { b.mutable_except(1)->set_address("xx"); }),
     kRule + "[1].blocks[0].except[1].address: 2 bytes; allowed: 4 (IPv4) or 16 (IPv6)"},
    {"hole outside", block([](auto& b) { b.mutable_except(0)->set_address(bytes_of("11.1.0.0")); }),
     kRule + "[1].blocks[0].except[0]: 11.1.0.0/16; allowed: inside of 10.0.0.0/8"},
    {"hole of the other family", block([](auto& b) { b.mutable_except(0)->set_address(bytes_of("fd00::")); }),
     kRule + "[1].blocks[0].except[0]: fd00::/16; allowed: inside of 10.0.0.0/8"},
    {"hole around the block", block([](auto& b) {
       b.mutable_except(0)->set_address(bytes_of("0.0.0.0"));
       b.mutable_except(0)->set_length(0);
     }),
     kRule + "[1].blocks[0].except[0]: 0.0.0.0/0; allowed: inside of 10.0.0.0/8"},
    {"1001 holes", block([](auto& b) {
       for (unsigned i = 0; i < 999; ++i) *b.add_except() = b.except(0);
     }),
     kRule + "[1].blocks[0].except: 1001 entries; allowed: at most 1000"},
    {"protocol ICMP", ports([](auto& p) { p.set_protocol(1); }),
     kRule + "[0].ports[0].protocol: 1; allowed: 6 (TCP), 17 (UDP) or 132 (SCTP)"},
    {"protocol 262 is not 6", ports([](auto& p) { p.set_protocol(262); }),
     kRule + "[0].ports[0].protocol: 262; allowed"},
    {"port 65536", ports([](auto& p) { p.set_first(65536); }), kRule + "[0].ports[0].first: 65536; allowed: 0..65535"},
    {"range to 65536", ports([](auto& p) { p.set_last(65536); }),
     kRule + "[0].ports[0].last: 65536; allowed: 80..65535"},
    {"range backwards", ports([](auto& p) { p.set_last(79); }), kRule + "[0].ports[0].last: 79; allowed: 80..65535"},
    {"1001 ports",
     [](auto& r) {
       api::PolicyRule& wire = *r.mutable_upsert_policies(0)->mutable_ingress(0);
       for (unsigned i = 0; i < 1000; ++i) *wire.add_ports() = wire.ports(0);
     },
     kRule + "[0].ports: 1001 entries; allowed: at most 1000"},
    {"egress has fields of its own",
     [](auto& r) { *r.mutable_upsert_policies(0)->mutable_egress(0)->add_ports() = api::PolicyPort(); },
     "upsert_policies[0].egress[0].ports[0].protocol: 0; allowed"},
    {"65536 rules",
     [](auto& r) {
       for (unsigned i = 0; i < 65536; ++i) r.mutable_upsert_policies(1)->add_egress();
     },
     "upsert_policies[1].egress: 65536 rules; a policy holds 65535 of one direction", ErrorCode::kResourceExhausted},
};

const std::vector<Case> kOtherCases = {
    {"endpoint of no address", [](auto& r) { r.mutable_upsert_endpoints(1)->clear_address(); },
     "upsert_endpoints[1].address: 0 bytes; allowed: 4 (IPv4) or 16 (IPv6)"},
    {"endpoint of a group", [](auto& r) { r.mutable_upsert_endpoints(1)->set_address(bytes_of("224.0.0.1")); },
     "upsert_endpoints[1].address: 224.0.0.1; allowed: a unicast address"},
    {"endpoint of nobody", [](auto& r) { r.mutable_upsert_endpoints(1)->clear_identity(); },
     "upsert_endpoints[1].identity: 0; allowed: 1..4294967295"},
    {"endpoint twice", [](auto& r) { *r.add_upsert_endpoints() = endpoint("10.0.0.1", 9); },
     "upsert_endpoints[2].address: 10.0.0.1 is also that of upsert_endpoints[0]"},
    {"endpoint removed and upserted", [](auto& r) { r.add_remove_endpoints(bytes_of("fd00::1")); },
     "remove_endpoints[0]: fd00::1 is also in upsert_endpoints"},
    {"removal of no address", [](auto& r) { r.add_remove_endpoints("12345"); },
     "remove_endpoints[0]: 5 bytes; allowed"},
    {"policy of a port without name", [](auto& r) { r.mutable_upsert_port_policies(1)->clear_port(); },
     "upsert_port_policies[1].port: 0 characters; allowed: 1..63"},
    {"policy of a port twice", [](auto& r) { r.mutable_upsert_port_policies(1)->set_port(kA); },
     "upsert_port_policies[1].port: \"a\" is also that of upsert_port_policies[0]"},
    {"a policy twice in a list", [](auto& r) { r.mutable_upsert_port_policies(0)->add_ingress("web"); },
     "upsert_port_policies[0].ingress[2]: \"web\" is also ingress[0]"},
    {"policy of a port removed and upserted", [](auto& r) { r.add_remove_port_policies(kA); },
     "remove_port_policies[0]: \"a\" is also in upsert_port_policies"},
    {"removal of a port's that is no name", [](auto& r) { r.add_remove_port_policies("a b"); },
     "remove_port_policies[0]: character 0x20; allowed"},
    {"an error says no more than can be read",
     [](auto& r) {
       r.mutable_upsert_groups(0)->set_name(std::string(3000, 'x') + "\xc3\xa9");
       *r.add_upsert_groups() = r.upsert_groups(0);
     },
     "upsert_groups[2].name: \"" + std::string(120, 'x') + "...\" is also that of upsert_groups[0]"},
};

TEST(PolicyRequest, EveryFieldHasItsLimits) {
  for (const auto* cases : {&kGroupCases, &kPolicyCases, &kOtherCases}) {
    for (const Case& row : *cases) {
      SCOPED_TRACE(row.name);
      api::ApplyRequest request = right_request();
      row.edit(request);
      const auto change = parse_policy(request, PolicyState());
      EXPECT_EQ(change.ok(), row.error.empty());
      if (change) continue;
      EXPECT_TRUE(change.error().message.starts_with(row.error)) << change.error().message;
      EXPECT_EQ(change.error().code, row.code);
    }
  }
}

}  // namespace
}  // namespace millrace::control::switchd
