// Keys of many nodes, and the sizes that follow from them.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "control/config/config.h"
#include "control/config/mtu.h"

namespace millrace::control::config {
namespace {

const std::string kEtcd = "store: etcd\nuplink: eth0\netcd: {endpoints: [\"http://10.0.0.1:2379\"]}\n";

Config parsed(const std::string& text) {
  auto config = parse(text, "c.yaml");
  if (!config.ok()) {
    ADD_FAILURE() << config.error().message;
    return {};
  }
  return *config;
}

TEST(ClusterConfig, DefaultsNeedNothingRunning) {
  const Config config = parsed("");
  EXPECT_EQ(config.store, Store::kEmbedded);
  EXPECT_TRUE(config.etcd.endpoints.empty());
  EXPECT_EQ(config.etcd.prefix, "/millrace/v1/");
  EXPECT_EQ(config.etcd.ca_file + config.etcd.cert_file + config.etcd.key_file, "");
  EXPECT_EQ(config.etcd.user + config.etcd.password_file, "");
  EXPECT_EQ(config.etcd.lease_seconds, 15u);
  EXPECT_EQ(config.encapsulation, Encapsulation::kVxlan);
  EXPECT_EQ(config.vxlan.vni, 4096u);
  EXPECT_EQ(config.vxlan.port, 4789);
  EXPECT_EQ(config.bird.config_file + config.bird.control_socket, "");
}

TEST(ClusterConfig, EveryKey) {
  const Config config = parsed(R"(
store: etcd
uplink: auto
etcd:
  endpoints: ["https://etcd-1.example:2379", "https://10.0.0.2:2379", "https://[fd00::3]:12379"]
  prefix: /other/cluster/
  caFile: /etc/etcd/ca.pem
  certFile: /etc/etcd/node.pem
  keyFile: /etc/etcd/node.key
  user: millrace
  passwordFile: /etc/etcd/password
  leaseSeconds: 300
encapsulation: crossSubnet
vxlan: {vni: 16777214, port: 8472}
bird: {configFile: /etc/bird/millrace.conf, controlSocket: /run/bird/bird.ctl}
)");
  EXPECT_EQ(config.store, Store::kEtcd);
  EXPECT_EQ(config.etcd.endpoints, (std::vector<std::string>{"https://etcd-1.example:2379", "https://10.0.0.2:2379",
                                                             "https://[fd00::3]:12379"}));
  EXPECT_EQ(config.etcd.prefix, "/other/cluster/");
  EXPECT_EQ(config.etcd.ca_file, "/etc/etcd/ca.pem");
  EXPECT_EQ(config.etcd.cert_file, "/etc/etcd/node.pem");
  EXPECT_EQ(config.etcd.key_file, "/etc/etcd/node.key");
  EXPECT_EQ(config.etcd.user, "millrace");
  EXPECT_EQ(config.etcd.password_file, "/etc/etcd/password");
  EXPECT_EQ(config.etcd.lease_seconds, 300u);
  EXPECT_EQ(config.encapsulation, Encapsulation::kCrossSubnet);
  EXPECT_EQ(config.vxlan.vni, 16777214u);
  EXPECT_EQ(config.vxlan.port, 8472);
  EXPECT_EQ(config.bird.config_file, "/etc/bird/millrace.conf");
  EXPECT_EQ(config.bird.control_socket, "/run/bird/bird.ctl");
}

TEST(ClusterConfig, WhatIsRefused) {
  struct Row {
    const char* name;
    std::string text;
    std::string error;  // a part of it
  };
  const std::string other = "store: etcd\nuplink: eth0\netcd:\n  endpoints: [\"http://10.0.0.1:2379\"]\n";
  const Row rows[] = {
      {"no such store", "store: sqlite\n", "c.yaml:1: store: \"sqlite\""},
      {"etcd without an endpoint", "store: etcd\nuplink: eth0\n", "c.yaml:1: store: etcd without an endpoint"},
      {"etcd without an uplink", "store: etcd\netcd: {endpoints: [\"http://a:1\"]}\n",
       "c.yaml:1: store: etcd without an uplink"},
      {"a block of one's own", kEtcd + "ipam: {block: 1}\n",
       "c.yaml:4: ipam.block: with store etcd blocks are claimed"},
      {"no scheme", "etcd: {endpoints: [\"10.0.0.1:2379\"]}\n", "is not http://HOST:PORT or https://HOST:PORT"},
      {"another scheme", "etcd: {endpoints: [\"ftp://10.0.0.1:2379\"]}\n", "is not http://HOST:PORT"},
      {"no port", "etcd: {endpoints: [\"http://10.0.0.1\"]}\n", "is not http://HOST:PORT"},
      {"port 0", "etcd: {endpoints: [\"http://10.0.0.1:0\"]}\n", "is not http://HOST:PORT"},
      {"a path", "etcd: {endpoints: [\"http://10.0.0.1:2379/\"]}\n", "is not http://HOST:PORT"},
      {"no host", "etcd: {endpoints: [\"http://:2379\"]}\n", "is not http://HOST:PORT"},
      {"IPv6 without brackets", "etcd: {endpoints: [\"http://fd00::1:2379\"]}\n", "is not http://HOST:PORT"},
      {"the same twice", "etcd: {endpoints: [\"http://a:1\", \"http://a:1\"]}\n", "http://a:1 is named twice"},
      {"both schemes", "etcd: {endpoints: [\"http://a:1\", \"https://a:2\"]}\n", "has both http and https"},
      {"a prefix without end", "etcd: {prefix: /millrace}\n", "\"/millrace\" has not / at both ends"},
      {"a prefix of nothing", "etcd: {prefix: /}\n", "has not / at both ends"},
      {"a file that is relative", "etcd: {caFile: ca.pem}\n", "is not an absolute path"},
      {"a certificate alone", "etcd: {certFile: /a}\n", "etcd.certFile: one is there without the other"},
      {"a key alone", "etcd: {keyFile: /a}\n", "etcd.keyFile: one is there without the other"},
      {"a user alone", "etcd: {user: a}\n", "etcd.user: one is there without the other"},
      {"a password alone", "etcd: {passwordFile: /a}\n", "etcd.passwordFile: one is there without the other"},
      {"certificates for http", other + "  caFile: /a\n", "c.yaml:4: etcd.endpoints: http has no certificates"},
      {"a lease that flaps", "etcd: {leaseSeconds: 4}\n", "4 is out of range; allowed: 5..300"},
      {"a way that is none", "encapsulation: gre\n", "allowed: vxlan | crossSubnet | none"},
      {"VNI 0", "vxlan: {vni: 0}\n", "0 is out of range; allowed: 1..16777214"},
      {"VNI of all ones", "vxlan: {vni: 16777215}\n", "16777215 is out of range"},
      {"BIRD's file is relative", "bird: {configFile: millrace.conf}\n",
       "bird.configFile: \"millrace.conf\" is not an absolute"},
      {"BIRD's socket alone", "bird: {controlSocket: /run/bird/bird.ctl}\n",
       "c.yaml:1: bird.controlSocket: there is nothing that BIRD could read again; allowed: bird.configFile, too"},
      {"BIRD's socket is too long", "bird: {configFile: /a, controlSocket: /" + std::string(107, 'a') + "}\n",
       "bird.controlSocket: is 108 bytes long; allowed: at most 107 bytes"},
      {"VXLAN at a node port", kEtcd + "vxlan: {port: 30000}\n", "c.yaml:4: vxlan.port: 30000 is in nat.portRange or"},
      {"VXLAN at a masqueraded port", kEtcd + "vxlan: {port: 40960}\n", "c.yaml:4: vxlan.port: 40960 is in"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto config = parse(row.text, "c.yaml");
    ASSERT_FALSE(config.ok());
    EXPECT_NE(config.error().message.find(row.error), std::string::npos) << config.error().message;
  }
}

TEST(ClusterConfig, MtuOfPods) {
  struct Row {
    const char* name;
    std::string text;
    std::optional<std::uint32_t> uplink;
    bool over_ipv4;
    std::uint32_t mtu;    // 0: refused
    std::uint32_t frame;  // what the switch's frames hold
    const char* error = "";
  };
  const Row rows[] = {
      {"embedded: the uplink's matter", "", 1400, true, 1500, 1500},
      {"embedded, numeric", "mtu: 3000\n", 1400, true, 3000, 3000},
      {"vxlan over IPv4", kEtcd, 1500, true, 1450, 1500},
      {"vxlan over IPv6", kEtcd, 1500, false, 1430, 1500},
      {"crossSubnet may need vxlan", kEtcd + "encapsulation: crossSubnet\n", 1500, true, 1450, 1500},
      {"none", kEtcd + "encapsulation: none\n", 1500, true, 1500, 1500},
      {"a large uplink is used as far as XDP takes it", kEtcd, 9000, true, 3350, 3400},
      {"an uplink that is not there yet", kEtcd, std::nullopt, true, 1450, 1500},
      {"numeric, fits", kEtcd + "mtu: 1450\n", 1500, true, 1450, 1500},
      {"numeric, smaller", kEtcd + "mtu: 1280\n", 1500, true, 1280, 1500},
      {"numeric, too large", kEtcd + "mtu: 1451\n", 1500, true, 0, 1500, "allowed: auto, or at most 1450"},
      {"numeric, too large over IPv6", kEtcd + "mtu: 1450\n", 1500, false, 0, 1500, "at most 1430"},
      {"an uplink too small for IPv6", kEtcd, 1329, true, 0, 1500, "an uplink of at least 1330"},
      {"and just large enough", kEtcd, 1330, true, 1280, 1500},
      {"without IPv6 it may be smaller", kEtcd + "ipam: {ipv6: {pool: none}}\n", 1000, true, 950, 1500},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const Config config = parsed(row.text);
    const auto mtu = pod_mtu(config, row.uplink, row.over_ipv4);
    ASSERT_EQ(mtu.ok(), row.mtu != 0);
    if (mtu.ok()) {
      EXPECT_EQ(*mtu, row.mtu);
    } else {
      EXPECT_NE(mtu.error().message.find(row.error), std::string::npos) << mtu.error().message;
    }
    EXPECT_EQ(frame_mtu(config, row.uplink), row.frame);
  }
}

}  // namespace
}  // namespace millrace::control::config
