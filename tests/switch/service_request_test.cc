// Services and NAT of an ApplyRequest, field by field: what is refused and with which words, what is built again.
#include "control/switch/service_request.h"

#include <gtest/gtest.h>

#include <functional>

#include "control/switch/nat_request.h"
#include "tests/switch/test_services.h"
#include "tests/switch/test_switch.h"

namespace millrace::control::switchd {
namespace {

using net::ErrorCode;

template <typename Wire>
struct Case {
  std::string name;
  std::function<void(Wire&)> edit;
  std::string error;  // "" when it is taken
  ErrorCode code = ErrorCode::kInvalidArgument;
};
using ServiceCase = Case<api::Service>;
using NatCase = Case<api::Nat>;

const std::string kService = "upsert_services[1]";

std::function<void(api::Service&)> frontend(const std::function<void(api::Frontend&)>& edit) {
  return [=](api::Service& wire) { edit(*wire.mutable_frontends(0)); };
}
std::function<void(api::Service&)> backend(const std::function<void(api::Backend&)>& edit) {
  return [=](api::Service& wire) { edit(*wire.mutable_backend_sets(0)->mutable_backends(1)); };
}
std::function<void(api::Service&)> range(const std::string& address, std::uint32_t length) {
  return frontend([=](api::Frontend& wire) {
    wire.add_source_ranges()->set_address(bytes_of(address));
    wire.mutable_source_ranges(wire.source_ranges_size() - 1)->set_length(length);
  });
}

const std::vector<ServiceCase> kServiceCases = {
    {"as it should be", [](auto&) {}, ""},
    {"name empty", [](auto& s) { s.set_name(""); }, kService + ".name: 0 bytes; allowed: 1..253"},
    {"name of 253", [](auto& s) { s.set_name(std::string(253, 'n')); }, ""},
    {"name of 254", [](auto& s) { s.set_name(std::string(254, 'n')); }, kService + ".name: 254 bytes; allowed: 1..253"},
    {"name with an escape", [](auto& s) { s.set_name("\x1b[2J"); },
     kService + ".name: control character 0x1b at byte 0"},
    {"name twice", [](auto& s) { s.set_name("first"); },
     kService + ".name: \"first\" is also that of upsert_services[0]"},
    {"affinity of a day", [](auto& s) { s.set_affinity_seconds(86400); }, ""},
    {"affinity of more", [](auto& s) { s.set_affinity_seconds(86401); },
     kService + ".affinity_seconds: 86401, want 0 to 86400"},
    {"frontend port 70000", frontend([](auto& f) { f.set_port(70000); }),
     kService + ".frontends[0].port: 70000; allowed: 1..65535"},
    {"frontend port 0", frontend([](auto& f) { f.set_port(0); }),
     kService + ".frontends[0].port: 0; allowed: 1..65535"},
    {"frontend port 65535", frontend([](auto& f) { f.set_port(65535); }), ""},
    {"frontend address of 5 bytes", frontend([](auto& f) { f.set_address("12345"); }),
     kService + ".frontends[0].address: 5 bytes; allowed: 4 (IPv4) or 16 (IPv6)"},
    {"frontend address of a group", frontend([](auto& f) { f.set_address(bytes_of("224.0.0.1")); }),
     kService + ".frontends[0].address: 224.0.0.1; allowed: a unicast address, not loopback, not unspecified"},
    {"protocol ICMP", frontend([](auto& f) { f.set_protocol(1); }),
     kService + ".frontends[0].protocol: 1; allowed: 6 (TCP), 17 (UDP) or 132 (SCTP)"},
    {"protocol 262 is not 6", frontend([](auto& f) { f.set_protocol(262); }),
     kService + ".frontends[0].protocol: 262; allowed"},
    {"protocol SCTP", frontend([](auto& f) { f.set_protocol(132); }), ""},
    {"action not said", frontend([](auto& f) { f.mutable_from_node()->clear_action(); }),
     kService + ".frontends[0].from_node.action: 0; allowed: FRONTEND_ACTION_BALANCE"},
    {"set that is not there", frontend([](auto& f) { f.mutable_from_external()->set_backend_set(1); }),
     kService + ".frontends[0].from_external.backend_set: 1"},
    {"set of 2^16", frontend([](auto& f) { f.mutable_from_pod()->set_backend_set(65536); }),
     kService + ".frontends[0].from_pod.backend_set: 65536; allowed: 0..63"},
    {"set of the other family", frontend([](auto& f) { f.set_address(bytes_of("fd00::1")); }),
     kService + ".frontends[0].from_pod.backend_set: 0 is not of the frontend's family"},
    {"frontend twice", [](auto& s) { *s.add_frontends() = s.frontends(0); },
     kService + ".frontends[1]: 10.96.0.2 port 80/tcp is frontends[0] already"},
    {"backend port 0", backend([](auto& b) { b.set_port(0); }),
     kService + ".backend_sets[0].backends[1].port: 0; allowed: 1..65535"},
    {"backend without address", backend([](auto& b) { b.clear_address(); }),
     kService + ".backend_sets[0].backends[1].address: 0 bytes; allowed: 4"},
    {"backend twice", backend([](auto& b) { b.set_address(bytes_of("10.244.0.1")); }),
     kService + ".backend_sets[0]: 10.244.0.1 port 8080 is there twice"},
    {"no backend: it rejects", [](auto& s) { s.mutable_backend_sets(0)->clear_backends(); }, ""},
    {"5001 backends",
     [](auto& s) {
       for (unsigned i = 0; i < 4999; ++i) add_backend(*s.mutable_backend_sets(0), backend_address(i), 9000);
     },
     kService + ".backend_sets[0]: 5001 are more than the limit of 5000", ErrorCode::kResourceExhausted},
    {"source range", range("192.0.2.0", 24), ""},
    {"source range with host bits", range("192.0.2.1", 24),
     kService + ".frontends[0].source_ranges[0]: 192.0.2.1/24 has bits beyond its length"},
    {"source range of 33 bits", range("192.0.2.0", 33),
     kService + ".frontends[0].source_ranges[0].length: 33; allowed: 0..32"},
};

TEST(ServiceRequest, EveryFieldHasItsLimits) {
  for (const ServiceCase& row : kServiceCases) {
    SCOPED_TRACE(row.name);
    api::ApplyRequest request;
    *request.add_upsert_services() = service("first", "10.96.0.1", 80, {"10.244.0.1", "10.244.0.2"});
    *request.add_upsert_services() = service("second", "10.96.0.2", 80, {"10.244.0.1", "10.244.0.2"});
    row.edit(*request.mutable_upsert_services(1));
    const auto change = parse_services(request, {});
    EXPECT_EQ(change.ok(), row.error.empty());
    if (change) {
      EXPECT_EQ(change->upserts.size(), 2u);
      continue;
    }
    EXPECT_TRUE(change.error().message.starts_with(row.error)) << change.error().message;
    EXPECT_EQ(change.error().code, row.code);
  }
}

LiveServices live(const ServiceChange& change) { return {change.upserts.begin(), change.upserts.end()}; }

ServiceChange parsed(const api::ApplyRequest& request, const LiveServices& before) {
  auto change = parse_services(request, before);
  if (!change) ADD_FAILURE() << change.error().message;
  return change ? std::move(change).value() : ServiceChange{};
}

TEST(ServiceRequest, OnlyWhatChangedIsBuiltAgain) {
  api::ApplyRequest request;
  for (const char* name : {"a", "b", "c"}) {
    *request.add_upsert_services() = service(name, "10.96.0.1", 80, {"10.244.0.1"});
  }
  const LiveServices before = live(parsed(request, {}));
  request.mutable_upsert_services(1)->set_affinity_seconds(60);
  const LiveServices after = live(parsed(request, before));
  EXPECT_EQ(after.at("a"), before.at("a"));
  EXPECT_NE(after.at("b"), before.at("b"));
  EXPECT_EQ(after.at("c"), before.at("c"));
}

TEST(ServiceRequest, RemovalOfWhatIsUpsertedIsAContradiction) {
  api::ApplyRequest request;
  *request.add_upsert_services() = service("a", "10.96.0.1", 80, {});
  request.add_remove_services("b");
  request.add_remove_services("a");
  const auto change = parse_services(request, {});
  ASSERT_FALSE(change);
  EXPECT_EQ(change.error().message, "remove_services[1]: \"a\" is also in upsert_services");
}

TEST(ServiceRequest, CollisionIsBlamedOnTheRequest) {
  api::ApplyRequest request;
  *request.add_upsert_services() = service("z-first", "10.96.0.1", 80, {"10.244.0.1"});
  LiveServices services = live(parsed(request, {}));
  *request.mutable_upsert_services(0) = service("b", "10.96.0.9", 80, {"10.244.0.1"});
  *request.add_upsert_services() = service("a-later", "10.96.0.1", 80, {"10.244.0.1"});
  const ServiceChange change = parsed(request, services);
  for (const auto& [name, built] : change.upserts) services[name] = built;
  const auto table = build_services(services, change);
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().message,
            "upsert_services[1].frontends[0]: 10.96.0.1 port 80/tcp is a frontend of service z-first already");
}

void add_prefix(google::protobuf::RepeatedPtrField<api::RoutePrefix>* list, const std::string& address,
                std::uint32_t length) {
  api::RoutePrefix* prefix = list->Add();
  prefix->set_address(bytes_of(address));
  prefix->set_length(length);
}

const std::vector<NatCase> kNatCases = {
    {"nothing: no masquerade", [](auto&) {}, ""},
    {"both families",
     [](auto& n) {
       n.set_masquerade_ipv4(bytes_of("192.0.2.1"));
       n.set_masquerade_ipv6(bytes_of("2001:db8::1"));
     },
     ""},
    {"IPv6 in the place of IPv4", [](auto& n) { n.set_masquerade_ipv4(bytes_of("2001:db8::1")); },
     "nat.masquerade_ipv4: 2001:db8::1; allowed: IPv4"},
    {"loopback", [](auto& n) { n.set_masquerade_ipv4(bytes_of("127.0.0.1")); },
     "nat.masquerade_ipv4: 127.0.0.1; allowed"},
    {"link-local", [](auto& n) { n.set_masquerade_ipv6(bytes_of("fe80::1")); },
     "nat.masquerade_ipv6: fe80::1; allowed: IPv6 that is routed"},
    {"prefix of a destination", [](auto& n) { add_prefix(n.mutable_not_masqueraded(), "10.0.0.0", 8); }, ""},
    {"prefix with host bits", [](auto& n) { add_prefix(n.mutable_not_masqueraded(), "10.0.0.1", 8); },
     "nat.not_masqueraded[0]: 10.0.0.1/8 has bits beyond its length"},
    {"prefix twice",
     [](auto& n) {
       add_prefix(n.mutable_service_prefixes(), "10.96.0.0", 12);
       add_prefix(n.mutable_service_prefixes(), "10.96.0.0", 12);
     },
     "nat.service_prefixes[1]: 10.96.0.0/12 is named twice"},
    {"17 service prefixes",
     [](auto& n) {
       for (unsigned i = 0; i < 17; ++i) add_prefix(n.mutable_service_prefixes(), "10.0.0.0", 8 + i);
     },
     "nat.service_prefixes: 17 entries; allowed: at most 16", ErrorCode::kResourceExhausted},
    {"address of the node", [](auto& n) { n.add_node_addresses(bytes_of("192.0.2.1")); }, ""},
    {"address of no length", [](auto& n) { n.add_node_addresses(""); }, "nat.node_addresses[0]: 0 bytes; allowed: 4"},
    {"65 addresses of the node",
     [](auto& n) {
       for (unsigned i = 0; i < 65; ++i) n.add_node_addresses(backend_address(i));
     },
     "nat.node_addresses: 65 entries; allowed: at most 64", ErrorCode::kResourceExhausted},
};

TEST(NatRequest, EveryFieldHasItsLimits) {
  for (const NatCase& row : kNatCases) {
    SCOPED_TRACE(row.name);
    api::Nat wire;
    row.edit(wire);
    const auto nat = parse_nat(wire);
    EXPECT_EQ(nat.ok(), row.error.empty());
    if (nat) continue;
    EXPECT_TRUE(nat.error().message.starts_with(row.error)) << nat.error().message;
    EXPECT_EQ(nat.error().code, row.code);
  }
}

}  // namespace
}  // namespace millrace::control::switchd
