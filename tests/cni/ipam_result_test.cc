// What delegated IPAM plugins print.
#include "cni-shim/ipam_result.h"

#include <sstream>

#include "tests/cni/support.h"

namespace millrace::cni_shim::testing {
namespace {

TEST(IpamResult, ReadsEveryVersion) {
  struct Row {
    std::string name, text;
    std::vector<std::string> addresses;  // ADDRESS/LENGTH GATEWAY
  };
  const Row rows[] = {
      {"0.2.0",
       R"({"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.5/24","gateway":"10.0.0.1"},"ip6":{"ip":"fd00::5/64"}})",
       {"10.0.0.5/24 10.0.0.1", "fd00::5/64 "}},
      {"0.4.0",
       R"({"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.0.0.5/24","gateway":"10.0.0.1"}],"dns":{}})",
       {"10.0.0.5/24 10.0.0.1"}},
      {"1.0.0, dual stack",
       R"({"ips":[{"address":"10.0.0.5/24"},{"address":"fd00::5/64","gateway":"fd00::1"}]})",
       {"10.0.0.5/24 ", "fd00::5/64 fd00::1"}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto result = parse_ipam_result(row.text, "some-ipam");
    ASSERT_TRUE(result.ok()) << result.error().message;
    std::vector<std::string> addresses;
    for (const auto& entry : result->addresses) {
      addresses.push_back(entry.address.to_string() + "/" + std::to_string(entry.prefix_bits) + " " +
                          (entry.gateway ? entry.gateway->to_string() : ""));
    }
    EXPECT_EQ(addresses, row.addresses);
  }
}

TEST(IpamResult, ReadsRoutesOfEveryVersion) {
  struct Row {
    std::string name, text;
    std::vector<std::string> routes;  // DST GW MTU ADVMSS PRIORITY
  };
  const std::string ips = R"("ips":[{"address":"10.0.0.5/24"}])";
  const Row rows[] = {
      {"0.2.0: of a family",
       R"({"ip4":{"ip":"10.0.0.5/24","routes":[{"dst":"10.0.0.0/8"}]},
           "ip6":{"ip":"fd00::5/64","routes":[{"dst":"::/0","gw":"fd00::1"}]}})",
       {"10.0.0.0/8  0 0 0", "::/0 fd00::1 0 0 0"}},
      {"1.0.0",
       "{" + ips + R"(,"routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"},{"dst":"fd00::/8","gw":""}]})",
       {"0.0.0.0/0 10.0.0.1 0 0 0", "fd00::/8  0 0 0"}},
      {"1.1.0, all of it",
       "{" + ips + R"(,"routes":[{"dst":"10.9.0.0/16","mtu":1400,"advmss":1300,"priority":7,"table":254,"scope":0}]})",
       {"10.9.0.0/16  1400 1300 7"}},
      {"null, as Go writes none", "{" + ips + R"(,"routes":null})", {}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto result = parse_ipam_result(row.text, "some-ipam");
    ASSERT_TRUE(result.ok()) << result.error().message;
    std::vector<std::string> routes;
    for (const PodRoute& route : result->routes) {
      std::ostringstream text;
      text << route.destination.to_string() << ' ' << (route.gateway ? route.gateway->to_string() : "") << ' '
           << route.mtu << ' ' << route.advmss << ' ' << route.priority;
      routes.push_back(text.str());
    }
    EXPECT_EQ(routes, row.routes);
  }
}

TEST(IpamResult, RefusesARouteByTheKeyThatIsWrong) {
  struct Row {
    std::string routes, key;
  };
  const Row rows[] = {
      {R"({})", "routes"},
      {R"([{"gw":"10.0.0.1"}])", "dst"},
      {R"([{"dst":"10.0.0.0"}])", "dst"},
      {R"([{"dst":"10.0.0.5/8"}])", "dst"},
      {R"([{"dst":"10.0.0.0/8","gw":"fd00::1"}])", "gw"},
      {R"([{"dst":"10.0.0.0/8","gw":"x"}])", "gw"},
      {R"([{"dst":"10.0.0.0/8","mtu":"big"}])", "mtu"},
      {R"([{"dst":"10.0.0.0/8","advmss":-1}])", "advmss"},
      {R"([{"dst":"10.0.0.0/8","priority":4294967296}])", "priority"},
      {R"([{"dst":"10.0.0.0/8","table":100}])", "table 100"},
      {R"([{"dst":"10.0.0.0/8","scope":253}])", "scope 253"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.routes);
    const auto result =
        parse_ipam_result(R"({"ips":[{"address":"10.0.0.5/24"}],"routes":)" + row.routes + "}", "some-ipam");
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, CniCode::kIpamFailure);
    EXPECT_NE(result.error().message.find("some-ipam"), std::string::npos) << result.error().message;
    EXPECT_NE(result.error().message.find(row.key), std::string::npos) << result.error().message;
  }
}

TEST(IpamResult, RefusesWhatCannotBeUsedAndNamesThePlugin) {
  const std::string rows[] = {
      "",
      "no JSON",
      "[]",
      "{}",
      R"({"ips":[]})",
      R"({"ips":{}})",
      R"({"ips":[5]})",
      R"({"ips":[{"address":"10.0.0.5"}]})",
      R"({"ips":[{"address":"10.0.0.5/33"}]})",
      R"({"ips":[{"address":"10.0.0.5/24","gateway":"fd00::1"}]})",
      R"({"ips":[{"address":"10.0.0.5/24","gateway":"x"}]})",
      R"({"ips":[{"address":"10.0.0.5/24"}],"dns":[]})",
  };
  for (const std::string& text : rows) {
    SCOPED_TRACE(text);
    const auto result = parse_ipam_result(text, "some-ipam");
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, CniCode::kIpamFailure);
    EXPECT_NE(result.error().message.find("some-ipam"), std::string::npos) << result.error().message;
  }
}

TEST(IpamError, KeepsThePluginsCodeAndWords) {
  const CniError error =
      parse_ipam_error(R"({"cniVersion":"1.0.0","code":11,"msg":"no lease","details":"d"})", "dhcp", 1);
  EXPECT_EQ(error.code, CniCode::kTryAgainLater);
  EXPECT_NE(error.message.find("no lease"), std::string::npos);
  EXPECT_EQ(error.details, "d");
}

TEST(IpamError, IsOursWhenThePluginGaveNone) {
  for (const std::string text : {"", "panic: x", "{}", R"({"code":"x","msg":"y"})", R"({"code":0,"msg":"y"})"}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(parse_ipam_error(text, "dhcp", 2).code, CniCode::kIpamFailure);
  }
  EXPECT_NE(parse_ipam_error("", "dhcp", 2).message.find("status 2"), std::string::npos);
}

}  // namespace
}  // namespace millrace::cni_shim::testing
