// What delegated IPAM plugins print.
#include "cni-shim/ipam_result.h"

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
