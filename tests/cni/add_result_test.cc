// The result of ADD in each version, alone and behind other plugins; and what CHECK reads out of it again.
#include "cni-shim/add_result.h"

#include "cni-shim/previous_result.h"
#include "tests/cni/support.h"

namespace millrace::cni_shim::testing {
namespace {

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }

PodInterface dual_stack_pod() {
  PodInterface pod;
  pod.host_interface = "mr0123";
  pod.host_mac = *net::Mac::parse("02:00:00:00:00:01");
  pod.mac = *net::Mac::parse("02:00:00:00:00:02");
  pod.mtu = 1450;
  pod.addresses = {{ip("10.244.0.5"), 32, ip("169.254.1.1")}, {ip("fd00:10:244::5"), 128, ip("fe80::1")}};
  pod.routes = {
      {.destination = *net::Prefix::parse("0.0.0.0/0"), .gateway = ip("169.254.1.1"), .priority = 5},
      {.destination = *net::Prefix::parse("169.254.1.1/32"), .gateway = {}},
      {.destination = *net::Prefix::parse("fd00::/8"), .gateway = ip("fe80::1"), .mtu = 1400, .advmss = 1300}};
  return pod;
}

Request request_for(const std::string& version, const std::string& more = "") {
  auto request = parse(runtime_variables("ADD"), R"({"cniVersion":")" + version + R"(","name":"n")" + more + "}");
  EXPECT_TRUE(request.ok()) << (request ? "" : request.error().error.message);
  return *std::move(request);
}

Json rendered(const Request& request, const Dns& ipam_dns = {}) {
  return json_of(render_add_result(request, dual_stack_pod(), ipam_dns));
}

TEST(AddResult, DnsIsTheConfigurationsThenIpamsThenTheEarlierPluginsThenTheAgents) {
  PodInterface pod = dual_stack_pod();
  pod.dns.nameservers = {"10.96.0.10"};
  pod.dns.domain = "cluster.local";
  pod.dns.search = {"shop.svc.cluster.local"};
  pod.dns.options = {"ndots:5"};
  Dns ipam;
  ipam.nameservers = {"192.0.2.2"};
  const auto server = [&](const std::string& more, const Dns& ipam_dns) {
    const Json result = json_of(render_add_result(request_for("1.0.0", more), pod, ipam_dns));
    return result["dns"]["nameservers"][0].get<std::string>();
  };
  const std::string own = R"(,"dns":{"nameservers":["192.0.2.1"]})";
  const std::string earlier = R"(,"prevResult":{"cniVersion":"1.0.0","dns":{"nameservers":["192.0.2.3"]}})";
  EXPECT_EQ(server(own + earlier, ipam), "192.0.2.1");
  EXPECT_EQ(server(earlier, ipam), "192.0.2.2");
  EXPECT_EQ(server(earlier, {}), "192.0.2.3");
  EXPECT_EQ(server(R"(,"prevResult":{"cniVersion":"1.0.0","dns":{}})", {}), "10.96.0.10");
  const Json result = json_of(render_add_result(request_for("1.0.0"), pod, {}));
  EXPECT_EQ(result["dns"], json_of(R"({"nameservers":["10.96.0.10"],"domain":"cluster.local",
                                       "search":["shop.svc.cluster.local"],"options":["ndots:5"]})"));
}

TEST(AddResult, ASocketStandsInPlaceOfTheInterfaces) {
  PodInterface pod = dual_stack_pod();
  pod.socket_path = "/run/millrace/vhost/u/eth0.sock";
  const Request request = request_for("1.1.0");
  const Json result = json_of(render_add_result(request, pod, {}));
  ASSERT_EQ(result["interfaces"].size(), 1U);
  const Json& interface = result["interfaces"][0];
  EXPECT_EQ(interface["name"], request.environment.ifname);
  EXPECT_EQ(interface["sandbox"], request.environment.netns);
  EXPECT_EQ(interface["mac"], "02:00:00:00:00:02");
  EXPECT_EQ(interface["mtu"], 1450);
  EXPECT_EQ(interface["socketPath"], pod.socket_path);
  for (const Json& ip : result["ips"]) EXPECT_EQ(ip["interface"], 0);
}

TEST(AddResult, EachVersionHasItsForm) {
  struct Row {
    std::string version;
    bool family, mtu;  // mtu: of interfaces, and what a route has besides its next hop
  };
  for (const Row& row :
       {Row{"0.3.1", true, false}, Row{"0.4.0", true, false}, Row{"1.0.0", false, false}, Row{"1.1.0", false, true}}) {
    SCOPED_TRACE(row.version);
    Json expected = json_of(R"({
      "dns": {},
      "interfaces": [{"name": "mr0123", "mac": "02:00:00:00:00:01"},
                     {"name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/c1"}],
      "ips": [{"address": "10.244.0.5/32", "gateway": "169.254.1.1", "interface": 1},
              {"address": "fd00:10:244::5/128", "gateway": "fe80::1", "interface": 1}],
      "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}, {"dst": "169.254.1.1/32"},
                 {"dst": "fd00::/8", "gw": "fe80::1"}]})");
    expected["cniVersion"] = row.version;
    if (row.family) {
      expected["ips"][0]["version"] = "4";
      expected["ips"][1]["version"] = "6";
    }
    if (row.mtu) {
      expected["interfaces"][0]["mtu"] = 1450;
      expected["interfaces"][1]["mtu"] = 1450;
      expected["routes"][0]["priority"] = 5;
      expected["routes"][2]["mtu"] = 1400;
      expected["routes"][2]["advmss"] = 1300;
    }
    EXPECT_EQ(rendered(request_for(row.version)), expected);
  }
}

TEST(AddResult, KeepsPrevResultAndAppendsToIt) {
  const Request request = request_for("1.0.0", R"(,"prevResult":{"cniVersion":"1.0.0","custom":true,
    "interfaces":[{"name":"lo","sandbox":"/run/netns/c1"}],"ips":[{"address":"127.0.0.1/8","interface":0}],
    "dns":{"nameservers":["1.1.1.1"]}})");
  const Json result = rendered(request);
  EXPECT_EQ(result["custom"], true);
  ASSERT_EQ(result["interfaces"].size(), 3U);
  EXPECT_EQ(result["interfaces"][0]["name"], "lo");
  ASSERT_EQ(result["ips"].size(), 3U);
  EXPECT_EQ(result["ips"][0]["interface"], 0);
  EXPECT_EQ(result["ips"][1]["interface"], 2);
  EXPECT_EQ(result["dns"], json_of(R"({"nameservers":["1.1.1.1"]})"));
}

TEST(AddResult, TakesListsOfPrevResultInAnyCase) {
  const Json result = rendered(request_for("1.0.0", R"(,"prevResult":{"Interfaces":[{"name":"lo"}],"IPs":null})"));
  EXPECT_EQ(result["interfaces"].size(), 3U);
  EXPECT_EQ(result.count("Interfaces"), 0U);
  EXPECT_EQ(result["ips"].size(), 2U);
}

TEST(AddResult, DnsOfTheConfigurationComesBeforeThatOfIpam) {
  const Dns ipam{{"9.9.9.9"}, "", {}, {}};
  EXPECT_EQ(rendered(request_for("1.0.0"), ipam)["dns"], json_of(R"({"nameservers":["9.9.9.9"]})"));
  EXPECT_EQ(rendered(request_for("1.0.0", R"(,"dns":{"domain":"a.b","search":["c"]})"), ipam)["dns"],
            json_of(R"({"domain":"a.b","search":["c"]})"));
}

CniResult<std::vector<net::IpAddress>> check(const std::string& prev_result) {
  auto request =
      parse(runtime_variables("CHECK"), R"({"cniVersion":"1.0.0","name":"n")" +
                                            (prev_result.empty() ? "" : ",\"prevResult\":" + prev_result) + "}");
  EXPECT_TRUE(request.ok()) << (request ? "" : request.error().error.message);
  return addresses_to_check(*request);
}

TEST(PreviousResult, GivesTheAddressesOfOurInterface) {
  const auto addresses = check(render_add_result(request_for("1.0.0"), dual_stack_pod(), {}));
  ASSERT_TRUE(addresses.ok()) << addresses.error().message;
  EXPECT_EQ(*addresses, (std::vector{ip("10.244.0.5"), ip("fd00:10:244::5")}));
}

TEST(PreviousResult, LeavesTheAddressesOfOthersOut) {
  const auto addresses = check(R"({"interfaces":[{"name":"eth0"},{"name":"eth0","sandbox":"/run/netns/c1"},
    {"name":"net1","sandbox":"/run/netns/c1"}],"ips":[{"address":"10.0.0.1/24","interface":1},
    {"address":"10.0.0.2/24","interface":2},{"address":"10.0.0.3/24"}]})");
  ASSERT_TRUE(addresses.ok()) << addresses.error().message;
  EXPECT_EQ(*addresses, (std::vector{ip("10.0.0.1"), ip("10.0.0.3")}));
}

TEST(PreviousResult, SaysWhatDoesNotMatch) {
  struct Row {
    std::string name, prev_result;
    CniCode code;
    std::string message;
  };
  const Row rows[] = {
      {"none", "", CniCode::kInvalidConfig, "prevResult must be there"},
      {"no interfaces", "{}", CniCode::kDiffers, "no interface \"eth0\""},
      {"another interface", R"({"interfaces":[{"name":"eth1","sandbox":"/run/netns/c1"}]})", CniCode::kDiffers, "eth0"},
      {"an interface of the host", R"({"interfaces":[{"name":"eth0"}]})", CniCode::kDiffers, "eth0"},
      {"another namespace", R"({"interfaces":[{"name":"eth0","sandbox":"/run/netns/old"}]})", CniCode::kDiffers,
       "/run/netns/old"},
      {"entries that are no objects", R"({"interfaces":[1,"a",null]})", CniCode::kDiffers, "eth0"},
      {"an index that is none",
       R"({"interfaces":[{"name":"eth0","sandbox":"/run/netns/c1"}],"ips":[{"interface":-1}]})",
       CniCode::kInvalidConfig, "prevResult.ips"},
      {"an address that is none",
       R"({"interfaces":[{"name":"eth0","sandbox":"/run/netns/c1"}],"ips":[{"address":"x"}]})", CniCode::kInvalidConfig,
       "prevResult.ips"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto addresses = check(row.prev_result);
    ASSERT_FALSE(addresses.ok());
    EXPECT_EQ(addresses.error().code, row.code);
    EXPECT_NE(addresses.error().message.find(row.message), std::string::npos) << addresses.error().message;
  }
}

TEST(VersionResult, NamesTheVersions) {
  EXPECT_EQ(json_of(render_version_result("0.4.0")),
            json_of(R"({"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]})"));
}

}  // namespace
}  // namespace millrace::cni_shim::testing
