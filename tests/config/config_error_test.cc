// Bad files: each row is a file and every word of the answer.
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "control/config/config.h"

namespace millrace::control::config {
namespace {

struct BadFile {
  const char* name;
  std::string text;
  std::string error;
};

const std::string kRootKeys =
    "nodeName, runtimeDir, stateDir, logLevel, poll, uplink, uplinkDevice, nodeAddresses, workers, memory, portLimit, "
    "policy, hostPort, hostForwarding, mtu, gateway, ipam, nat, services, dns, flows, store, etcd, encapsulation, "
    "vxlan, "
    "bird";
const std::string kPathRule = "an absolute path of at most 95 bytes: letters, digits and . _ / - + @, without \"..\"";
const std::string kPool4Rule = "an IPv4 prefix with a length of 8..30, or none";
const std::string kPool6Rule = "an IPv6 prefix with a length of 16..126, or none";
const std::string kHostPortRule = "a name of an interface: 1..14 letters, digits and . _ -";

void expect_error(const BadFile& row) {
  SCOPED_TRACE(row.name);
  const auto config = parse(row.text, "c.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().code, net::ErrorCode::kInvalidArgument);
  EXPECT_EQ(config.error().message, row.error);
}

TEST(ConfigError, OfTheFile) {
  const std::vector<BadFile> rows = {
      {.name = "not a map", .text = "- 1\n", .error = "c.yaml:1: the file is not a map of keys; allowed: " + kRootKeys},
      {.name = "one word",
       .text = "\n\nhello\n",
       .error = "c.yaml:3: the file is not a map of keys; allowed: " + kRootKeys},
      {.name = "two documents",
       .text = "mtu: 1500\n---\nmtu: 1400\n",
       .error = "c.yaml:3: a second YAML document; allowed: one document"},
      {.name = "not YAML",
       .text = "mtu: 1500\nworkers: {cpus: [1, 2\n",
       .error = "c.yaml:3: not YAML: end of sequence flow not found"},
      {.name = "tab as indent",
       .text = "workers:\n\tcount: 1\n",
       .error = "c.yaml:2: not YAML: a tab in the indentation; allowed: spaces"},
      {.name = "alias to nothing",
       .text = "mtu: *a\n",
       .error = "c.yaml:1: not YAML: the referenced anchor is not defined"},
      {.name = "NUL",
       .text = std::string("mtu: 1500\n\0", 11),
       .error = "c.yaml:2: control character; allowed: text in UTF-8"},
      {.name = "escape sequence",
       .text = "\x1b[31m: 1\n",
       .error = "c.yaml:1: control character; allowed: text in UTF-8"},
      {.name = "too long",
       .text = std::string(kFileLimitBytes + 1, '#'),
       .error = "c.yaml: the file is too long; allowed: 1048576 bytes"},
  };
  for (const BadFile& row : rows) expect_error(row);
}

TEST(ConfigError, OfKeys) {
  const std::vector<BadFile> rows = {
      {.name = "unknown", .text = "colour: red\n", .error = "c.yaml:1: colour: unknown key; allowed: " + kRootKeys},
      {.name = "misspelt",
       .text = "mtu: 1500\nportlimt: 8\n",
       .error = "c.yaml:2: portlimt: unknown key, is portLimit meant?; allowed: " + kRootKeys},
      {.name = "other spelling",
       .text = "node_name: a\n",
       .error = "c.yaml:1: node_name: unknown key, is nodeName meant?; allowed: " + kRootKeys},
      {.name = "misspelt in a section",
       .text = "workers:\n  cpu: [1]\n",
       .error = "c.yaml:2: workers.cpu: unknown key, is workers.cpus meant?; allowed: count, cpus"},
      {.name = "in the wrong section",
       .text = "cpus: [1]\n",
       .error = "c.yaml:1: cpus: unknown key, is workers.cpus meant?; allowed: " + kRootKeys},
      {.name = "path in place of sections",
       .text = "workers.count: 1\n",
       .error = "c.yaml:1: workers.count: unknown key, is workers.count meant?; allowed: " + kRootKeys},
      {.name = "merge key",
       .text = "gateway: {<<: {mac: a}}\n",
       .error = "c.yaml:1: gateway.<<: unknown key; allowed: ipv4, ipv6, mac"},
      {.name = "twice",
       .text = "mtu: 1500\npoll: always\nmtu: 1400\n",
       .error = "c.yaml:3: mtu: is there twice, first in line 1; allowed: each key once"},
      {.name = "section twice",
       .text = "workers:\n  count: 1\nworkers:\n  cpus: [1]\n",
       .error = "c.yaml:3: workers: is there twice, first in line 1; allowed: each key once"},
      {.name = "key is a list",
       .text = "? [a, b]\n: 1\n",
       .error = "c.yaml:1: a key is not text; allowed: " + kRootKeys},
      {.name = "section is a value",
       .text = "workers: 4\n",
       .error = "c.yaml:1: workers: is not a map of keys; allowed: count, cpus"},
      {.name = "section is a list",
       .text = "ipam:\n  ipv4: [a]\n",
       .error = "c.yaml:2: ipam.ipv4: is a list, not a map of keys; allowed: pool, blockLength, natOutgoing"},
      {.name = "long unknown key",
       .text = std::string(100, 'k') + ": 1\n",
       .error = "c.yaml:1: " + std::string(40, 'k') + "...: unknown key; allowed: " + kRootKeys},
  };
  for (const BadFile& row : rows) expect_error(row);
}

TEST(ConfigError, OfTypes) {
  const std::vector<BadFile> rows = {
      {.name = "word for integer",
       .text = "mtu: big\n",
       .error = "c.yaml:1: mtu: \"big\" is not an integer; allowed: auto, or 576..3400"},
      {.name = "fraction",
       .text = "mtu: 1500.5\n",
       .error = "c.yaml:1: mtu: \"1500.5\" is not an integer; allowed: auto, or 576..3400"},
      {.name = "hexadecimal",
       .text = "mtu: 0x5dc\n",
       .error = "c.yaml:1: mtu: \"0x5dc\" is not an integer; allowed: auto, or 576..3400"},
      {.name = "unit",
       .text = "mtu: 1500 bytes\n",
       .error = "c.yaml:1: mtu: \"1500 bytes\" is not an integer; allowed: auto, or 576..3400"},
      {.name = "quoted integer",
       .text = "mtu: \"1500\"\n",
       .error = "c.yaml:1: mtu: \"1500\" is text in quotes, not an integer; allowed: auto, or 576..3400"},
      {.name = "no value",
       .text = "mtu:\npoll: always\n",
       .error = "c.yaml:1: mtu: has no value; allowed: auto, or 576..3400"},
      {.name = "list for integer",
       .text = "mtu: [1500]\n",
       .error = "c.yaml:1: mtu: is a list, not an integer; allowed: auto, or 576..3400"},
      {.name = "map for text",
       .text = "nodeName: {a: b}\n",
       .error =
           "c.yaml:1: nodeName: is a map, not text; allowed: an RFC 1123 name: lower-case letters, digits, '-' and "
           "'.', at most 253 characters"},
      {.name = "yes for boolean",
       .text = "hostForwarding: yes\n",
       .error = "c.yaml:1: hostForwarding: \"yes\" is not true or false; allowed: true | false"},
      {.name = "NodePortsFromNodeInAnotherWord",
       .text = "services: {nodePortsFromNode: on}\n",
       .error = "c.yaml:1: services.nodePortsFromNode: \"on\" is not true or false; allowed: true | false"},
      {.name = "integer for list",
       .text = "workers:\n  cpus: 1\n",
       .error = "c.yaml:2: workers.cpus: \"1\" is not a list; allowed: a list of at most 64 different numbers 0..1023"},
      {.name = "word in list",
       .text = "workers:\n  cpus:\n    - 1\n    - two\n",
       .error = "c.yaml:3: workers.cpus: entry 2: \"two\" is not an integer; allowed: a list of at most 64 different "
                "numbers 0..1023"},
      {.name = "tag",
       .text = "mtu: !!int 1500\n",
       .error = "c.yaml:1: mtu: has a YAML tag, which no key takes; allowed: auto, or 576..3400"},
      {.name = "unknown choice",
       .text = "poll: sometimes\n",
       .error = "c.yaml:1: poll: \"sometimes\" is not one of them; allowed: adaptive | always"},
  };
  for (const BadFile& row : rows) expect_error(row);
}

TEST(ConfigError, OfValues) {
  const std::string long_path = "/" + std::string(95, 'r');
  const std::vector<BadFile> rows = {
      {.name = "mtu too small",
       .text = "mtu: 575\n",
       .error = "c.yaml:1: mtu: 575 is out of range; allowed: auto, or 576..3400"},
      {.name = "mtu too large",
       .text = "mtu: 3401\n",
       .error = "c.yaml:1: mtu: 3401 is out of range; allowed: auto, or 576..3400"},
      {.name = "negative",
       .text = "portLimit: -1\n",
       .error = "c.yaml:1: portLimit: -1 is out of range; allowed: 2..4096"},
      {.name = "more than 64 bits",
       .text = "portLimit: 99999999999999999999\n",
       .error = "c.yaml:1: portLimit: 99999999999999999999 is out of range; allowed: 2..4096"},
      {.name = "cpu twice",
       .text = "workers: {cpus: [1, 1]}\n",
       .error = "c.yaml:1: workers.cpus: 1 is named twice; allowed: a list of at most 64 different numbers 0..1023"},
      {.name = "relative path",
       .text = "runtimeDir: run\n",
       .error = "c.yaml:1: runtimeDir: \"run\" is not an absolute path; allowed: " + kPathRule},
      {.name = "path upwards",
       .text = "runtimeDir: /run/../etc\n",
       .error = "c.yaml:1: runtimeDir: \"/run/../etc\" leads upwards with \"..\"; allowed: " + kPathRule},
      {.name = "no room for a socket",
       .text = "runtimeDir: " + long_path + "\n",
       .error = "c.yaml:1: runtimeDir: is 96 bytes long, too long for the path of a unix socket in it; allowed: " +
                kPathRule},
      {.name = "host port name",
       .text = "hostPort: a/b\n",
       .error = "c.yaml:1: hostPort: \"a/b\" is not a name of an interface; allowed: " + kHostPortRule},
      {.name = "host port name leaves no room for its other end",
       .text = "hostPort: fifteen-letters\n",
       .error = "c.yaml:1: hostPort: \"fifteen-letters\" is 15 characters long; allowed: " + kHostPortRule},
      {.name = "node name",
       .text = "nodeName: Node_1\n",
       .error =
           "c.yaml:1: nodeName: \"Node_1\" is not a node name; allowed: an RFC 1123 name: lower-case letters, digits, "
           "'-' and '.', at most 253 characters"},
      {.name = "gateway loopback",
       .text = "gateway: {ipv4: 127.0.0.1}\n",
       .error = "c.yaml:1: gateway.ipv4: 127.0.0.1 is a loopback address; allowed: a unicast IPv4 address outside of "
                "ipam.ipv4.pool"},
      {.name = "gateway multicast MAC",
       .text = "gateway: {mac: '01:00:5e:00:00:01'}\n",
       .error = "c.yaml:1: gateway.mac: 01:00:5e:00:00:01 is a multicast address; allowed: a unicast MAC address"},
      {.name = "pool of the other family",
       .text = "ipam: {ipv4: {pool: 'fd00::/64'}}\n",
       .error = "c.yaml:1: ipam.ipv4.pool: \"fd00::/64\" is not an IPv4 prefix or none; allowed: " + kPool4Rule},
      {.name = "pool with host bits",
       .text = "ipam: {ipv4: {pool: 10.244.3.0/16}}\n",
       .error =
           "c.yaml:1: ipam.ipv4.pool: \"10.244.3.0/16\" is not an IPv4 prefix or none, bits behind its length are set; "
           "is 10.244.0.0/16 meant; allowed: " +
           kPool4Rule},
      {.name = "pool too long",
       .text = "ipam: {ipv6: {pool: 'fd00::/127'}}\n",
       .error = "c.yaml:1: ipam.ipv6.pool: the length of fd00::/127 is out of range; allowed: " + kPool6Rule},
      {.name = "multicast pool",
       .text = "ipam: {ipv6: {pool: 'ff00::/16'}}\n",
       .error = "c.yaml:1: ipam.ipv6.pool: ff00:: is a multicast address; allowed: " + kPool6Rule},
  };
  for (const BadFile& row : rows) expect_error(row);
}

TEST(ConfigError, OfRulesBetweenKeys) {
  const std::vector<BadFile> rows = {
      {.name = "count and pins",
       .text = "workers:\n  cpus: [1, 2]\n  count: 3\n",
       .error = "c.yaml:3: workers.count: 3 workers, but workers.cpus names 2; allowed: 2, or 0"},
      {.name = "more ports than packets to receive with",
       .text = "portLimit: 257\n",
       .error = "c.yaml:1: portLimit: 32768 packets are too few for 257 ports; allowed: at least 128 packets a "
                "port: memory.packets 32896, or portLimit 256"},
      {.name = "mtu below IPv6's",
       .text = "mtu: 1279\n",
       .error = "c.yaml:1: mtu: 1279 is too small for IPv6; allowed: at least 1280 with an IPv6 pool, or "
                "ipam.ipv6.pool none"},
      {.name = "gateway in the pool",
       .text = "gateway: {ipv4: 10.244.0.1}\n",
       .error = "c.yaml:1: gateway.ipv4: the gateway 10.244.0.1 is in the pool 10.244.0.0/16; allowed: an address "
                "outside of "
                "ipam.ipv4.pool"},
      {.name = "pool around the gateway",
       .text = "ipam:\n  ipv6:\n    pool: fe00::/16\ngateway:\n  ipv6: fe00::1\n",
       .error = "c.yaml:5: gateway.ipv6: the gateway fe00::1 is in the pool fe00::/16; allowed: an address outside of "
                "ipam.ipv6.pool"},
      {.name = "block larger than the pool",
       .text = "ipam:\n  ipv4:\n    pool: 10.1.2.0/26\n",
       .error = "c.yaml:3: ipam.ipv4.pool: a block of /24 is larger than the pool 10.1.2.0/26; allowed: "
                "ipam.ipv4.blockLength 26..30"},
      {.name = "block not in the pool",
       .text = "ipam:\n  block: 256\n",
       .error =
           "c.yaml:2: ipam.block: 256 is not in the pool 10.244.0.0/16, which has 256 blocks of /24; allowed: 0..255\n"
           "c.yaml:2: ipam.block: 256 is not in the pool fd00:10:244::/112, which has 256 blocks of /120; allowed: "
           "0..255"},
      {.name = "state in the runtime directory",
       .text = "stateDir: /run/millrace/\n",
       .error = "c.yaml:1: stateDir: /run/millrace is also the runtimeDir; allowed: another directory than runtimeDir"},
      {.name = "service range in the pool",
       .text = "services:\n  ipv4: 10.240.0.0/12\n",
       .error =
           "c.yaml:2: services.ipv4: 10.240.0.0/12 and the pool 10.244.0.0/16 overlap; allowed: a prefix apart from "
           "ipam.ipv4.pool"},
      {.name = "gateway in the service range",
       .text = "gateway:\n  ipv4: 10.100.0.1\n",
       .error = "c.yaml:2: gateway.ipv4: the gateway 10.100.0.1 is in 10.96.0.0/12; allowed: a prefix without "
                "gateway.ipv4"},
      {.name = "masquerade ports that are node ports",
       .text = "nat:\n  portRange: 20000-31000\n",
       .error = "c.yaml:2: nat.portRange: 20000-31000 has node ports in it; allowed: a range apart from 30000-32767"},
      {.name = "fewer flows than a worker can have",
       .text = "flows:\n  limit: 1023\n",
       .error = "c.yaml:2: flows.limit: 1023 is out of range; allowed: 1024..16777216"},
      {.name = "timeouts below those of RFC 5382, RFC 4787 and RFC 5508",
       .text = "flows:\n  timeouts:\n    tcpEstablished: 7439\n    udpAnswered: 119\n    icmp: 59\n",
       .error = "c.yaml:3: flows.timeouts.tcpEstablished: 7439 is out of range; allowed: 7440..2592000\n"
                "c.yaml:4: flows.timeouts.udpAnswered: 119 is out of range; allowed: 120..2592000\n"
                "c.yaml:5: flows.timeouts.icmp: 59 is out of range; allowed: 60..2592000"},
      {.name = "who may send to a masquerade port",
       .text = "nat:\n  inbound: all\n",
       .error = "c.yaml:2: nat.inbound: \"all\" is not one of them; allowed: established | mapped"},
      {.name = "uplink is the host port",
       .text = "uplink: millrace0s\n",
       .error = "c.yaml:1: uplink: millrace0s belongs to the host port; allowed: another interface than the host "
                "port's two"},
  };
  for (const BadFile& row : rows) expect_error(row);
}

TEST(ConfigError, OfADeviceAsUplink) {
  const BadFile rows[] = {
      {.name = "a device without a name for the node's end",
       .text = "uplinkDevice: 0000:3b:00.0\n",
       .error = "c.yaml:1: uplinkDevice: a device, and uplink none is no name for the node's end of its link; allowed: "
                "uplink with a name of an interface that is made, 1..14 characters"},
      {.name = "a device and the default route's interface",
       .text = "uplink: auto\nuplinkDevice: 0000:3b:00.0\n",
       .error = "c.yaml:2: uplinkDevice: a device, and uplink auto is no name for the node's end of its link; allowed: "
                "uplink with a name of an interface that is made, 1..14 characters"},
      {.name = "a device whose node's end has no room for its s",
       .text = "uplink: up0123456789abc\nuplinkDevice: net_null0\n",
       .error =
           "c.yaml:2: uplinkDevice: a device, and uplink up0123456789abc is no name for the node's end of its link; "
           "allowed: uplink with a name of an interface that is made, 1..14 characters"},
      {.name = "a device whose switch's end is the host port",
       .text = "uplink: up\nuplinkDevice: net_null0\nhostPort: ups\n",
       .error =
           "c.yaml:1: uplink: the switch's end of the link of up is ups; allowed: another name than the host port's "
           "without its s"},
      {.name = "no device",
       .text = "uplink: up0\nuplinkDevice: eth0\n",
       .error = "c.yaml:2: uplinkDevice: \"eth0\" is neither a PCI address nor a device of DPDK's nor a socket; "
                "allowed: none, a "
                "PCI address (0000:3b:00.0), a driver of DPDK's with its arguments (net_pcap0,iface=eth1), or a socket "
                "(vhost-user,path=PATH,mac=MAC, and role=client): at most 255 characters"},
  };
  for (const BadFile& row : rows) expect_error(row);
}

TEST(ConfigError, TellsEveryErrorInTheOrderOfLines) {
  expect_error({.name = "three",
                .text = "workers:\n  count: many\nmtu: 9000\ncolour: red\n",
                .error = "c.yaml:2: workers.count: \"many\" is not an integer; allowed: 0..64\n"
                         "c.yaml:3: mtu: 9000 is out of range; allowed: auto, or 576..3400\n"
                         "c.yaml:4: colour: unknown key; allowed: " +
                         kRootKeys});
}

TEST(ConfigError, StopsTellingAfterTheLimit) {
  std::string text, error;
  for (std::size_t i = 0; i < kErrorLimit + 5; ++i) {
    text += "zz" + std::to_string(i) + ": 1\n";
    if (i < kErrorLimit) {
      error += "c.yaml:" + std::to_string(i + 1) + ": zz" + std::to_string(i) + ": unknown key; allowed: " + kRootKeys +
               "\n";
    }
  }
  expect_error({.name = "many", .text = text, .error = error + "c.yaml: and 5 more errors"});
}

// A file of 1 MiB must cost no more than its size, however it is knotted.
TEST(ConfigError, HostileFilesAreRefusedQuickly) {
  std::string laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char name = 'b'; name < 'z'; ++name) {
    laughs += std::string(1, name) + ": &" + name + " [";
    for (int i = 0; i < 9; ++i) laughs += std::string(i ? ",*" : "*") + static_cast<char>(name - 1);
    laughs += "]\n";
  }
  laughs += "workers: {cpus: *y}\n";
  EXPECT_FALSE(parse(laughs, "c.yaml").ok());
  EXPECT_FALSE(parse("workers: &w {count: *w}\n", "c.yaml").ok());
  EXPECT_FALSE(parse("mtu: " + std::string(1 << 19, '['), "c.yaml").ok());
  EXPECT_FALSE(parse(std::string(1 << 19, '{'), "c.yaml").ok());
  std::string deep;
  for (int i = 0; i < 1200; ++i) deep += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_FALSE(parse(deep, "c.yaml").ok());
}

TEST(ConfigError, OfReadingAFile) {
  const auto missing = load("/nonexistent/millrace.yaml");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().message, "/nonexistent/millrace.yaml: cannot be read: No such file or directory");
  const auto directory = load("/");
  ASSERT_FALSE(directory.ok());
  EXPECT_EQ(directory.error().message, "/: cannot be read: Is a directory");
  const auto endless = load("/dev/zero");
  ASSERT_FALSE(endless.ok());
  EXPECT_EQ(endless.error().message, "/dev/zero: the file is too long; allowed: 1048576 bytes");
}

}  // namespace
}  // namespace millrace::control::config
