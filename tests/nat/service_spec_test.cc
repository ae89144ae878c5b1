#include "nat/service_spec.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "nat/service_table.h"
#include "tests/nat/service_builder.h"

namespace millrace::nat {
namespace {

/// One of everything, and in order.
ServiceSpec good() {
  ServiceSpec spec;
  spec.name = "default/web:http";
  spec.affinity_seconds = 10'800;
  spec.backend_sets = {{backend("10.244.0.5", 8080), backend("10.244.1.5", 8080)}, {backend("fd00:244::5", 8080)}, {}};
  spec.frontends = {frontend("10.96.0.10", kTcp, 80, balance(0)), frontend("fd00:96::10", kUdp, 80, balance(1)),
                    frontend("10.96.0.10", kSctp, 80, balance(2))};
  spec.frontends[0].source_ranges = {prefix("10.0.0.0/8"), prefix("0.0.0.0/0"), prefix("fd00::/16")};
  return spec;
}

struct Row {
  const char* name;
  std::function<void(ServiceSpec&)> spoil;
  net::ErrorCode code;
  std::string message;  // behind "service NAME: "
};

const auto kInvalid = net::ErrorCode::kInvalidArgument;
const auto kExhausted = net::ErrorCode::kResourceExhausted;

const Row kRows[] = {
    {"affinity too long", [](auto& s) { s.affinity_seconds = 86'401; }, kInvalid,
     "affinity_seconds: 86401, want 0 to 86400"},
    {"too many sets", [](auto& s) { s.backend_sets.resize(65); }, kExhausted,
     "backend_sets: 65 are more than the limit of 64"},
    {"too many backends", [](auto& s) { s.backend_sets[2] = backends_v4(5001); }, kExhausted,
     "backend_sets[2]: 5001 are more than the limit of 5000"},
    {"a set of two families", [](auto& s) { s.backend_sets[0].push_back(backend("fd00::1", 1)); }, kInvalid,
     "backend_sets[0][2].address: fd00::1 is not of the family of the set's first"},
    {"backend without port", [](auto& s) { s.backend_sets[0][1].port = 0; }, kInvalid,
     "backend_sets[0][1].port: 0, want 1 to 65535"},
    {"backend twice", [](auto& s) { s.backend_sets[0].push_back(backend("10.244.0.5", 8080)); }, kInvalid,
     "backend_sets[0]: 10.244.0.5 port 8080 is there twice"},
    {"unspecified backend", [](auto& s) { s.backend_sets[0][0].address = ip("0.0.0.0"); }, kInvalid,
     "backend_sets[0][0].address: 0.0.0.0 is no address of one host"},
    {"multicast backend", [](auto& s) { s.backend_sets[1][0].address = ip("ff02::1"); }, kInvalid,
     "backend_sets[1][0].address: ff02::1 is no address of one host"},
    {"backend of no family", [](auto& s) { s.backend_sets[1][0].address.family = 5; }, kInvalid,
     "backend_sets[1][0].address: family 5, want 4 or 6"},
    {"too many frontends",
     [](auto& s) {
       s.frontends.clear();
       for (unsigned i = 1; i <= 4097; ++i) {
         s.frontends.push_back(frontend("10.96.0.10", kTcp, static_cast<std::uint16_t>(i), reject()));
       }
     },
     kExhausted, "frontends: 4097 are more than the limit of 4096"},
    {"broadcast frontend", [](auto& s) { s.frontends[0].address = ip("255.255.255.255"); }, kInvalid,
     "frontends[0].address: 255.255.255.255 is no address of one host"},
    {"frontend of no family", [](auto& s) { s.frontends[2].address.family = 0; }, kInvalid,
     "frontends[2].address: family 0, want 4 or 6"},
    {"protocol without ports", [](auto& s) { s.frontends[1].protocol = 1; }, kInvalid,
     "frontends[1].protocol: 1, want 6 (TCP), 17 (UDP) or 132 (SCTP)"},
    {"frontend without port", [](auto& s) { s.frontends[2].port = 0; }, kInvalid,
     "frontends[2].port: 0, want 1 to 65535"},
    {"set that is not there", [](auto& s) { s.frontends[0].rules[1].backend_set = 3; }, kInvalid,
     "frontends[0].rules[1].backend_set: 3, the service has 3"},
    {"set of the other family", [](auto& s) { s.frontends[0].rules[2].backend_set = 1; }, kInvalid,
     "frontends[0].rules[2].backend_set: 1 is not of the frontend's family"},
    {"unknown action", [](auto& s) { s.frontends[0].rules[0].action = static_cast<FrontendAction>(3); }, kInvalid,
     "frontends[0].rules[0].action: 3 is none of balance, reject, drop"},
    {"too many ranges", [](auto& s) { s.frontends[1].source_ranges.resize(65); }, kExhausted,
     "frontends[1].source_ranges: 65 are more than the limit of 64"},
    {"range with host bits",
     [](auto& s) {
       s.frontends[0].source_ranges[1] = {ip("10.0.0.1"), 8};
     },
     kInvalid, "frontends[0].source_ranges[1]: 10.0.0.1/8 has bits set behind the prefix, or is too long"},
    {"range too long", [](auto& s) { s.frontends[0].source_ranges[0].length_bits = 33; }, kInvalid,
     "frontends[0].source_ranges[0]: 10.0.0.0/33 has bits set behind the prefix, or is too long"},
    {"frontend twice", [](auto& s) { s.frontends.push_back(frontend("10.96.0.10", kTcp, 80, reject())); }, kInvalid,
     "frontends[3]: 10.96.0.10 port 80/tcp is frontends[0] already"},
};

TEST(ServiceSpec, OfGoodFieldsIsBuilt) {
  const auto service = build_service(good());
  ASSERT_TRUE(service.ok()) << service.error().message;
  EXPECT_EQ(name_of(**service), "default/web:http");
  EXPECT_EQ(ServiceTable::affinity_seconds(**service), 10'800u);
}

TEST(ServiceSpec, AtEveryLimitIsBuilt) {
  ServiceSpec spec;
  spec.name = std::string(kMaxServiceNameBytes, 'a');
  spec.affinity_seconds = kMaxAffinitySeconds;
  spec.backend_sets.resize(kMaxBackendSetsPerService);
  spec.backend_sets[63] = backends_v4(kMaxBackendsPerSet);
  for (unsigned i = 1; i <= kMaxFrontendsPerService; ++i) {
    spec.frontends.push_back(frontend("10.96.0.10", kTcp, static_cast<std::uint16_t>(i), balance(63)));
  }
  spec.frontends[0].source_ranges.assign(kMaxSourceRanges, prefix("10.0.0.0/8"));
  const auto service = build_service(spec);
  EXPECT_TRUE(service.ok()) << service.error().message;
}

TEST(ServiceSpec, IsRefusedByFieldAndLimit) {
  for (const Row& row : kRows) {
    ServiceSpec spec = good();
    row.spoil(spec);
    const auto service = build_service(spec);
    ASSERT_FALSE(service.ok()) << row.name;
    EXPECT_EQ(service.error().code, row.code) << row.name;
    EXPECT_EQ(service.error().message, "service default/web:http: " + row.message) << row.name;
  }
}

TEST(ServiceSpec, HasANameOfBoundedLength) {
  for (const std::size_t length : {std::size_t{0}, kMaxServiceNameBytes + 1}) {
    ServiceSpec spec = good();
    spec.name = std::string(length, 'a');
    const auto service = build_service(spec);
    ASSERT_FALSE(service.ok());
    EXPECT_EQ(service.error().message, "name: " + std::to_string(length) + " bytes, want 1 to 253");
  }
}

TEST(ServiceSpec, TakesAnySetForARuleThatDoesNotBalance) {
  ServiceSpec spec = good();
  spec.frontends[0].rules[0] = {.action = FrontendAction::kDrop, .backend_set = 99};
  EXPECT_TRUE(build_service(spec).ok());
}

}  // namespace
}  // namespace millrace::nat
