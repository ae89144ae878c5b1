// Good files, the defaults, and the texts made from the schema.
#include <gtest/gtest.h>

#include <string>

#include "control/config/config.h"
#include "control/config/schema.h"
#include "control/config/suggest.h"
#include "control/names/syntax.h"

namespace millrace::control::config {
namespace {

Config parsed(const std::string& text) {
  auto config = parse(text, "c.yaml");
  if (!config.ok()) {
    ADD_FAILURE() << config.error().message;
    return {};
  }
  return *config;
}

TEST(Config, DefaultsOfAnEmptyFile) {
  for (const char* text : {"", "\n", "# nothing\n", "---\n", "workers:\nipam:\n  ipv4:\n", "{}\n"}) {
    SCOPED_TRACE(text);
    const Config config = parsed(text);
    EXPECT_EQ(config.file, "c.yaml");
    EXPECT_EQ(config.node_name, default_node_name());
    EXPECT_EQ(config.runtime_dir, "/run/millrace");
    EXPECT_EQ(config.state_dir, "/var/lib/millrace");
    EXPECT_EQ(config.log_level, "info");
    EXPECT_EQ(config.poll, Poll::kAdaptive);
    EXPECT_EQ(config.uplink, "");
    EXPECT_EQ(config.workers.count, 0u);
    EXPECT_TRUE(config.workers.cpus.empty());
    EXPECT_EQ(config.memory.packets, 32768u);
    EXPECT_EQ(config.memory.hugepages, Hugepages::kAuto);
    EXPECT_EQ(config.port_limit, 256u);
    EXPECT_EQ(config.host_port, "millrace0");
    EXPECT_TRUE(config.host_forwarding);
    EXPECT_TRUE(config.services.node_ports_from_node);
    EXPECT_EQ(config.mtu, 0u);  // auto
    EXPECT_EQ(config.gateway.ipv4.to_string(), "169.254.1.1");
    EXPECT_EQ(config.gateway.ipv6.to_string(), "fe80::1");
    EXPECT_EQ(config.gateway.mac.to_string(), "02:4d:52:00:00:01");
    ASSERT_TRUE(config.ipam.ipv4 && config.ipam.ipv6);
    EXPECT_EQ(config.ipam.ipv4->prefix.to_string(), "10.244.0.0/16");
    EXPECT_EQ(config.ipam.ipv4->block_bits, 24);
    EXPECT_EQ(config.ipam.ipv6->prefix.to_string(), "fd00:10:244::/112");
    EXPECT_EQ(config.ipam.ipv6->block_bits, 120);
    EXPECT_EQ(config.ipam.block_index, 0u);
    EXPECT_TRUE(config.ipam.ipv4->nat_outgoing && config.ipam.ipv6->nat_outgoing);
    EXPECT_TRUE(config.node_addresses.empty());
    EXPECT_EQ(config.nat.port_first, 40960);
    EXPECT_EQ(config.nat.port_last, 65535);
    EXPECT_TRUE(config.nat.excluded.empty());
    EXPECT_EQ(config.nat.inbound, NatInbound::kEstablished);
    EXPECT_EQ(config.flows.limit, 1'000'000u);
    EXPECT_TRUE(config.flows.pick_up_tcp);
    EXPECT_EQ(config.flows.timeouts.ms, nat::Timeouts{}.ms);
    ASSERT_TRUE(config.services.ipv4 && config.services.ipv6);
    EXPECT_EQ(config.services.ipv4->to_string(), "10.96.0.0/12");
    EXPECT_EQ(config.services.ipv6->to_string(), "fd00:10:96::/112");
    EXPECT_EQ(config.dns_servers(), std::vector{*net::IpAddress::parse("10.96.0.10")});
    EXPECT_EQ(config.dns.domain, "cluster.local");
    EXPECT_EQ(config.switch_socket(), "/run/millrace/switch.sock");
    EXPECT_EQ(config.agent_socket(), "/run/millrace/agent.sock");
  }
}

TEST(Config, KeysOfServices) {
  const Config config = parsed(R"(
uplink: none
nodeAddresses: [192.0.2.1, "2001:db8::1"]
ipam:
  ipv4:
    natOutgoing: false
nat:
  portRange: 50000-50999
  excluded: [10.0.0.0/8, "fd00::/8"]
services:
  ipv4: none
  ipv6: fd00:20::/112
dns:
  domain: example.internal
)");
  EXPECT_EQ(config.uplink, "");
  ASSERT_EQ(config.node_addresses.size(), 2u);
  EXPECT_EQ(config.node_addresses[1].to_string(), "2001:db8::1");
  EXPECT_FALSE(config.ipam.ipv4->nat_outgoing);
  EXPECT_TRUE(config.ipam.ipv6->nat_outgoing);
  EXPECT_EQ(config.nat.port_first, 50000);
  EXPECT_EQ(config.nat.port_last, 50999);
  ASSERT_EQ(config.nat.excluded.size(), 2u);
  EXPECT_EQ(config.nat.excluded[0].to_string(), "10.0.0.0/8");
  EXPECT_FALSE(config.services.ipv4);
  EXPECT_EQ(config.dns_servers(), std::vector{*net::IpAddress::parse("fd00:20::a")});
  EXPECT_EQ(config.dns.domain, "example.internal");
  EXPECT_EQ(parsed("uplink: auto").uplink, "auto");
  EXPECT_EQ(parsed("dns: {servers: [192.0.2.53]}").dns_servers(), std::vector{*net::IpAddress::parse("192.0.2.53")});
}

TEST(Config, KeysOfFlows) {
  struct Row {
    const char* key;
    nat::FlowTimer timer;
  };
  const Row rows[] = {
      {"tcpHandshake", nat::FlowTimer::kTcpHandshake},   {"tcpEstablished", nat::FlowTimer::kTcpEstablished},
      {"tcpClosing", nat::FlowTimer::kTcpClosing},       {"tcpClosed", nat::FlowTimer::kTcpClosed},
      {"udpQuery", nat::FlowTimer::kUdpOneShotShort},    {"udpUnanswered", nat::FlowTimer::kUdpOneShot},
      {"udpAnswered", nat::FlowTimer::kUdpStream},       {"icmp", nat::FlowTimer::kIcmp},
      {"sctpHandshake", nat::FlowTimer::kSctpHandshake}, {"sctpEstablished", nat::FlowTimer::kSctpEstablished},
      {"sctpClosing", nat::FlowTimer::kSctpClosing},     {"other", nat::FlowTimer::kOther},
  };
  static_assert(std::size(rows) == nat::kFlowTimerCount - 1, "all but kFree");
  nat::Timeouts wanted;
  std::string text = "flows:\n  limit: 16777216\n  pickUpTcp: false\n  timeouts:\n";
  for (const Row& row : rows) {
    const std::uint32_t seconds = 8000 + static_cast<std::uint32_t>(row.timer);
    wanted.ms[static_cast<unsigned>(row.timer)] = seconds * 1000;
    text += "    " + std::string(row.key) + ": " + std::to_string(seconds) + "\n";
  }
  const Config config = parsed(text + "nat: {inbound: mapped}\n");
  EXPECT_EQ(config.flows.limit, 16'777'216u);
  EXPECT_FALSE(config.flows.pick_up_tcp);
  EXPECT_EQ(config.flows.timeouts.ms, wanted.ms);
  EXPECT_EQ(config.nat.inbound, NatInbound::kMapped);
}

TEST(Config, EveryKeyIsRead) {
  const Config config = parsed(R"(
nodeName: node-7.example
runtimeDir: /run/second/
stateDir: "/var/lib/second"
logLevel: debug
poll: always
uplink: eth0
workers: {count: 2, cpus: [3, 1]}
memory:
  packets: 524288
  hugepages: 1G
portLimit: 4096
hostPort: fourteen-chars
hostForwarding: false
mtu: 3400
gateway: {ipv4: 10.0.0.1, ipv6: 'fd00::1', mac: '02:00:00:00:00:07'}
ipam:
  ipv4: {blockLength: 30, pool: 172.16.0.0/12}
  ipv6: {pool: 'fd11::/64', blockLength: 126}
  block: 65535
services: {nodePortsFromNode: false}
)");
  EXPECT_EQ(config.node_name, "node-7.example");
  EXPECT_EQ(config.runtime_dir, "/run/second");
  EXPECT_EQ(config.state_dir, "/var/lib/second");
  EXPECT_EQ(config.log_level, "debug");
  EXPECT_EQ(config.poll, Poll::kAlways);
  EXPECT_EQ(config.uplink, "eth0");
  EXPECT_EQ(config.workers.count, 2u);
  EXPECT_EQ(config.workers.cpus, (std::vector<std::uint32_t>{3, 1}));
  EXPECT_EQ(config.memory.packets, 524288u);
  EXPECT_EQ(config.memory.hugepages, Hugepages::k1G);
  EXPECT_EQ(config.port_limit, 4096u);
  EXPECT_EQ(config.host_port, "fourteen-chars");
  EXPECT_FALSE(config.host_forwarding);
  EXPECT_EQ(config.mtu, 3400u);
  EXPECT_EQ(config.gateway.ipv4.to_string(), "10.0.0.1");
  EXPECT_EQ(config.gateway.ipv6.to_string(), "fd00::1");
  EXPECT_EQ(config.gateway.mac.to_string(), "02:00:00:00:00:07");
  EXPECT_EQ(config.ipam.ipv4->prefix.to_string(), "172.16.0.0/12");
  EXPECT_EQ(config.ipam.ipv4->block_bits, 30);
  EXPECT_EQ(config.ipam.ipv6->prefix.to_string(), "fd11::/64");
  EXPECT_EQ(config.ipam.ipv6->block_bits, 126);
  EXPECT_EQ(config.ipam.block_index, 65535u);
  EXPECT_FALSE(config.services.node_ports_from_node);
}

TEST(Config, PoolNoneSwitchesAFamilyOff) {
  const Config config = parsed("mtu: 576\nipam: {ipv6: {pool: none, blockLength: 124}, block: 3}\n");
  EXPECT_FALSE(config.ipam.ipv6);
  EXPECT_TRUE(config.ipam.ipv4);
}

TEST(Config, JsonIsYaml) {
  EXPECT_EQ(parsed(R"({"mtu": 1400, "runtimeDir": "/tmp/a", "hostForwarding": false})").mtu, 1400u);
}

TEST(Config, AnchorsMayBeUsed) {
  const Config config = parsed("runtimeDir: &d /srv/a\nstateDir: /srv/b\nuplink: &u eth1\n");
  EXPECT_EQ(config.runtime_dir, "/srv/a");
}

TEST(Config, ExampleOfTheDocumentIsTheDefault) {
  const std::string text = markdown_text();
  const std::size_t begin = text.find("```yaml\n") + 8;
  const Config config = parsed(text.substr(begin, text.find("```", begin) - begin));
  EXPECT_EQ(config.mtu, 0u);
  EXPECT_EQ(config.ipam.ipv4->block_bits, 24);
}

TEST(Config, EveryTextNamesEveryKey) {
  for (const Key& key : schema()) {
    SCOPED_TRACE(key.path);
    EXPECT_FALSE(key.text.empty());
    EXPECT_FALSE(key.allowed.empty());
    EXPECT_NE(help_text().find(key.path), std::string::npos);
    EXPECT_NE(markdown_text().find("| `" + std::string(key.path) + "` |"), std::string::npos);
    EXPECT_NE(man_text().find("\\fB" + std::string(key.path) + "\\fR"), std::string::npos);
  }
}

TEST(Config, NearestKey) {
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(nearest_key("", "pol"), "poll");
  EXPECT_EQ(nearest_key("", "MTU"), "mtu");
  EXPECT_EQ(nearest_key("", "log-level"), "logLevel");
  EXPECT_EQ(nearest_key("ipam.ipv4", "block_length"), "ipam.ipv4.blockLength");
  EXPECT_EQ(nearest_key("", "pool"), "poll");
  EXPECT_EQ(nearest_key("", "hugepages"), "memory.hugepages");
  EXPECT_EQ(nearest_key("", "zebra"), "");
  EXPECT_EQ(nearest_key("", std::string(5000, 'm')), "");
}

TEST(Config, HostNameBecomesANodeName) { EXPECT_TRUE(names::is_dns_subdomain(default_node_name())); }

}  // namespace
}  // namespace millrace::control::config
