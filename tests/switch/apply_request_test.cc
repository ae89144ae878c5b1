// Every field of an ApplyRequest against its limits: what is refused, with which words, and that nothing changes then.
#include <gtest/gtest.h>

#include <functional>

#include "tests/switch/test_switch.h"

namespace millrace::control::switchd {
namespace {

using Edit = std::function<void(api::PortSpec&)>;
using net::ErrorCode;

struct FieldCase {
  std::string name;
  Edit edit;          // of upsert_ports[1], which is right before
  std::string error;  // "" when it is taken
};

void PrintTo(const FieldCase& row, std::ostream* out) { *out << row.name; }

Edit name(const std::string& value) {
  return [=](api::PortSpec& p) { p.set_name(value); };
}
Edit interface(const std::string& value) {
  return [=](api::PortSpec& p) { p.set_interface(value); };
}
Edit mac(const std::string& value) {
  return [=](api::PortSpec& p) { p.set_mac(value); };
}
Edit mtu(std::uint32_t value) {
  return [=](api::PortSpec& p) { p.set_mtu(value); };
}
Edit kind(int value) {
  return [=](api::PortSpec& p) { p.set_kind(static_cast<api::PortKind>(value)); };
}
Edit description(const std::string& value) {
  return [=](api::PortSpec& p) { p.set_description(value); };
}
Edit socket(const std::string& path, int role = api::VHOST_ROLE_SERVER, std::uint32_t queue_pairs = 0) {
  return [=](api::PortSpec& p) {
    p.clear_interface();
    p.mutable_vhost_user()->set_path(path);
    p.mutable_vhost_user()->set_role(static_cast<api::VhostRole>(role));
    p.mutable_vhost_user()->set_queue_pairs(queue_pairs);
  };
}
Edit both(const Edit& one, const Edit& other) {
  return [=](api::PortSpec& p) {
    one(p);
    other(p);
  };
}
Edit raw_address(const std::string& bytes) {
  return [=](api::PortSpec& p) { p.add_addresses(bytes); };
}
Edit addresses(const std::vector<std::string>& list) {
  return [=](api::PortSpec& p) {
    p.clear_addresses();
    for (const std::string& text : list) p.add_addresses(bytes_of(text));
  };
}
Edit prefix(const std::string& bytes, std::uint32_t length) {
  return [=](api::PortSpec& p) {
    p.add_prefixes()->set_address(bytes);
    p.mutable_prefixes(p.prefixes_size() - 1)->set_length(length);
  };
}
Edit prefixes(unsigned count) {
  return [=](api::PortSpec& p) {
    for (unsigned i = 0; i < count; ++i) {
      prefix(std::string{'\x0b', static_cast<char>(i / 256), static_cast<char>(i % 256), 0}, 24)(p);
    }
  };
}

const std::string kPort = "upsert_ports[1]";

const std::vector<FieldCase> kCases = {
    {"name empty", name(""), kPort + ".name: 0 characters; allowed: 1..63"},
    {"name of 63", name(std::string(63, 'x')), ""},
    {"name of 64", name(std::string(64, 'x')), kPort + ".name: 64 characters; allowed: 1..63"},
    {"name with every kind of character", name("kube-system/coredns_0.eth0:1"), ""},
    {"name with a space", name("a b"), kPort + ".name: character 0x20; allowed: letters, digits and _ . : / -"},
    {"name with a zero byte", name(std::string("a\0b", 3)), kPort + ".name: character 0x00"},
    {"name with an escape", name("\x1b[2J"), kPort + ".name: character 0x1b"},
    {"name given twice", name("a"), kPort + ".name: \"a\" is named twice in this request"},

    {"kind not said", kind(0),
     kPort + ".kind: 0; allowed: PORT_KIND_POD, PORT_KIND_HOST, PORT_KIND_UPLINK or "
             "PORT_KIND_NODE_LINK"},
    {"kind of the future", kind(5), kPort + ".kind: 5; allowed"},
    {"kind host", kind(api::PORT_KIND_HOST), ""},
    {"uplink with an address", kind(api::PORT_KIND_UPLINK), kPort + ".addresses: allowed: none for PORT_KIND_UPLINK"},
    {"node link with an address", kind(api::PORT_KIND_NODE_LINK),
     kPort + ".addresses: allowed: none for PORT_KIND_NODE_LINK"},
    {"a pod's device", [](api::PortSpec& p) { p.set_device("net_null0"); },
     kPort + ".device: \"net_null0\"; allowed: for PORT_KIND_UPLINK alone"},
    {"a device with a long name", [](api::PortSpec& p) { p.set_device(std::string(256, 'x')); },
     kPort + ".device: 256 characters; allowed"},

    {"DHCP of a pod", [](api::PortSpec& p) { p.set_dhcp(true); }, ""},
    {"DHCP of the host port",
     [](api::PortSpec& p) {
       kind(api::PORT_KIND_HOST)(p);
       p.set_dhcp(true);
     },
     kPort + ".dhcp: true; allowed: for PORT_KIND_POD alone"},

    {"interface empty", interface(""), kPort + ".interface: 0 characters; allowed: 1..15"},
    {"interface of 15", interface("abcdefghijklmno"), ""},
    {"interface of 16", interface("abcdefghijklmnop"), kPort + ".interface: 16 characters; allowed: 1..15"},
    {"interface with a slash", interface("../eth0"), kPort + ".interface: character 0x2f"},
    {"interface with a colon", interface("eth0:1"), kPort + ".interface: character 0x3a"},
    {"interface dot dot", interface(".."), kPort + ".interface: \"..\" names no interface"},
    {"socket", socket("/run/m/vhost/1/eth0.sock"), ""},
    {"socket of a guest that listens", socket("/run/m/eth0.sock", api::VHOST_ROLE_CLIENT, 64), ""},
    {"socket of 107 bytes", socket("/" + std::string(106, 's')), ""},
    {"socket of 108 bytes", socket("/" + std::string(107, 's')),
     kPort + ".vhost_user.path: 108 bytes; allowed: an absolute path of 2..107 bytes"},
    {"socket without a path", socket(""), kPort + ".vhost_user.path: \"\"; allowed: an absolute path"},
    {"socket relative to what", socket("run/s"), kPort + ".vhost_user.path: \"run/s\"; allowed: an absolute path"},
    {"socket by a detour", socket("/run/../s"), kPort + ".vhost_user.path: \"/run/../s\"; allowed"},
    {"socket with two slashes", socket("/run//s"), kPort + ".vhost_user.path: \"/run//s\"; allowed"},
    {"socket that is a directory", socket("/run/"), kPort + ".vhost_user.path: \"/run/\"; allowed"},
    {"socket with a zero byte", socket(std::string("/a\0b", 4)), kPort + ".vhost_user.path: \"/a?b\"; allowed"},
    {"socket of nobody", socket("/s", 0), kPort + ".vhost_user.role: 0; allowed: VHOST_ROLE_SERVER, VHOST_ROLE_CLIENT"},
    {"65 queue pairs", socket("/s", api::VHOST_ROLE_SERVER, 65),
     kPort + ".vhost_user.queue_pairs: 65; allowed: 1..64, or 0 for 64"},
    {"socket and interface", both(socket("/s"), interface("veth-b")),
     kPort + ".interface: \"veth-b\"; allowed: none with vhost_user"},
    {"socket of the host", both(socket("/s"), kind(api::PORT_KIND_HOST)),
     kPort + ".vhost_user: allowed: for PORT_KIND_POD alone"},

    {"interface of another port", interface("veth-a"), kPort + ".interface: \"veth-a\" is also that of port \"a\""},

    {"MAC empty", mac(""), kPort + ".mac: 0 bytes; allowed: 6"},
    {"MAC of 8", mac("12345678"), kPort + ".mac: 8 bytes; allowed: 6"},
    {"MAC zero", mac(std::string(6, '\0')), kPort + ".mac: 00:00:00:00:00:00; allowed: a unicast address"},
    {"MAC broadcast", mac(std::string(6, '\xff')), kPort + ".mac: ff:ff:ff:ff:ff:ff; allowed: a unicast address"},
    {"MAC multicast", mac("\x01\x80\xc2\x04\x05\x06"), kPort + ".mac: 01:80:c2:04:05:06; allowed: a unicast address"},
    {"MAC of the gateway", mac(std::string(kGatewayMac.bytes.begin(), kGatewayMac.bytes.end())),
     kPort + ".mac: 02:4d:52:00:00:01 is the gateway's"},

    {"no address", addresses({}), ""},
    {"four a family",
     addresses({"10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4", "fd01::1", "fd01::2", "fd01::3", "fd01::4"}), ""},
    {"five IPv4", addresses({"10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5"}),
     kPort + ".addresses[4]: address 5 of IPv4; allowed: 4 a family"},
    {"five IPv6", addresses({"fd01::1", "fd01::2", "fd01::3", "fd01::4", "10.1.0.1", "fd01::5"}),
     kPort + ".addresses[5]: address 5 of IPv6; allowed: 4 a family"},
    {"address of 5 bytes", raw_address("12345"), kPort + ".addresses[1]: 5 bytes; allowed: 4 (IPv4) or 16 (IPv6)"},
    {"address empty", raw_address(""), kPort + ".addresses[1]: 0 bytes; allowed: 4 (IPv4) or 16 (IPv6)"},
    {"address unspecified", addresses({"0.0.0.0"}), kPort + ".addresses[0]: 0.0.0.0; allowed: a unicast address"},
    {"address broadcast", addresses({"255.255.255.255"}), kPort + ".addresses[0]: 255.255.255.255; allowed"},
    {"address multicast", addresses({"224.0.0.1"}), kPort + ".addresses[0]: 224.0.0.1; allowed: a unicast address"},
    {"address loopback", addresses({"127.0.0.1"}), kPort + ".addresses[0]: 127.0.0.1; allowed: a unicast address"},
    {"address IPv6 multicast", addresses({"ff02::1"}), kPort + ".addresses[0]: ff02::1; allowed: a unicast address"},
    {"address IPv6 loopback", addresses({"::1"}), kPort + ".addresses[0]: ::1; allowed: a unicast address"},
    {"address link-local", addresses({"fe80::5"}), kPort + ".addresses[0]: fe80::5 is link-local"},
    {"address of the gateway", addresses({"169.254.1.1"}), kPort + ".addresses[0]: 169.254.1.1 is the gateway's"},
    {"address of another port", addresses({"10.0.0.9", "10.0.0.1"}),
     kPort + ".addresses[1]: 10.0.0.1/32 is also that of port \"a\""},
    {"one address twice", addresses({"10.0.0.9", "10.0.0.9"}),
     kPort + ".addresses[1]: 10.0.0.9/32 is also that of port \"b\""},

    {"prefix of everything", prefix(std::string(4, '\0'), 0), ""},
    {"prefix too long", prefix(bytes_of("10.2.0.0"), 33), kPort + ".prefixes[0].length: 33; allowed: 0..32"},
    {"prefix longer than IPv6", prefix(bytes_of("fd02::"), 129), kPort + ".prefixes[0].length: 129; allowed: 0..128"},
    {"prefix length that overflows a byte", prefix(bytes_of("10.2.0.0"), 256 + 24),
     kPort + ".prefixes[0].length: 280; allowed: 0..32"},
    {"prefix with host bits", prefix(bytes_of("10.2.0.1"), 24),
     kPort + ".prefixes[0]: 10.2.0.1/24 has bits beyond its length; allowed: 10.2.0.0/24"},
    {"prefix without address", prefix("", 0), kPort + ".prefixes[0].address: 0 bytes; allowed: 4 (IPv4) or 16 (IPv6)"},
    {"prefix that is another port's address", prefix(bytes_of("10.0.0.1"), 32),
     kPort + ".prefixes[0]: 10.0.0.1/32 is also that of port \"a\""},
    {"256 prefixes", prefixes(256), ""},
    {"257 prefixes", prefixes(257), kPort + ".prefixes: 257 entries; allowed: at most 256"},

    {"mtu 0", mtu(0), kPort + ".mtu: 0; allowed: 576..1500"},
    {"mtu 575", mtu(575), kPort + ".mtu: 575; allowed: 576..1500"},
    {"mtu 576", mtu(576), ""},
    {"mtu of the frame", mtu(1500), ""},
    {"mtu beyond the frame", mtu(1501), kPort + ".mtu: 1501; allowed: 576..1500"},
    {"mtu that overflows 16 bits", mtu(65536 + 1500), kPort + ".mtu: 67036; allowed: 576..1500"},
    {"mtu 1279 with IPv6",
     [](api::PortSpec& p) {
       addresses({"fd01::1"})(p);
       mtu(1279)(p);
     },
     kPort + ".mtu: 1279; allowed: 1280..1500 with IPv6 addresses"},
    {"mtu 1280 with IPv6",
     [](api::PortSpec& p) {
       addresses({"fd01::1"})(p);
       mtu(1280)(p);
     },
     ""},

    {"description of 253", description(std::string(253, 'd')), ""},
    {"description of 254", description(std::string(254, 'd')),
     kPort + ".description: 254 characters; allowed: at most 253"},
    {"description of 253 wide characters",
     [](api::PortSpec& p) {
       for (int i = 0; i < 253; ++i) p.mutable_description()->append("\xf0\x9f\x90\x8e");
     },
     ""},
    {"description cut inside a character", description("mill\xc3"), kPort + ".description: byte 4 is not valid UTF-8"},
    {"description overlong", description("\xc0\xaf"), kPort + ".description: byte 0 is not valid UTF-8"},
    {"description surrogate", description("\xed\xa0\x80"), kPort + ".description: byte 0 is not valid UTF-8"},
    {"description beyond Unicode", description("\xf4\x90\x80\x80"), kPort + ".description: byte 0 is not valid UTF-8"},
    {"description with a newline", description("a\nb"), kPort + ".description: control character 0x0a at byte 1"},
    {"description with C1 control",
     description("a\xc2\x9b"
                 "2J"),
     kPort + ".description: control character 0x9b at byte 1"},
};

class ApplyField : public testing::TestWithParam<FieldCase> {};

TEST_P(ApplyField, IsTakenOrRefusedWithItsNameAndLimit) {
  const FieldCase& row = GetParam();
  TestSwitch sw;
  ASSERT_TRUE(sw.apply(upsert({pod("before", {"10.9.9.9"})})).ok());
  const std::string before = sw.ports();
  const std::uint64_t generation = sw.state->generation();

  api::ApplyRequest request = upsert({pod("a", {"10.0.0.1"}), pod("b", {"10.0.0.2"})});
  row.edit(*request.mutable_upsert_ports(1));
  const auto result = sw.apply(request);

  if (row.error.empty()) {
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(sw.state->port_count(), 3u);
    return;
  }
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(result.error().message.substr(0, row.error.size()), row.error);
  EXPECT_EQ(sw.ports(), before);
  EXPECT_EQ(sw.state->generation(), generation);
  EXPECT_EQ(sw.opener.open_count(), 1u) << "a device stayed open";
}

INSTANTIATE_TEST_SUITE_P(Table, ApplyField, testing::ValuesIn(kCases), [](const auto& row) {
  std::string id;
  for (const char c : row.param.name) id += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return id;
});

struct GatewayCase {
  std::string name;
  std::function<void(api::Gateway&)> edit;
  std::string error;
};

TEST(ApplyGateway, IsTakenOrRefusedWithItsNameAndLimit) {
  const std::vector<GatewayCase> cases = {
      {"as it is", [](api::Gateway&) {}, ""},
      {"without IPv6", [](api::Gateway& g) { g.clear_ipv6(); }, ""},
      {"without MAC", [](api::Gateway& g) { g.clear_mac(); }, "gateway.mac: 0 bytes; allowed: 6"},
      {"IPv6 as IPv4", [](api::Gateway& g) { g.set_ipv4(bytes_of("fe80::1")); },
       "gateway.ipv4: fe80::1; allowed: IPv4"},
      {"IPv4 as IPv6", [](api::Gateway& g) { g.set_ipv6(bytes_of("1.1.1.1")); },
       "gateway.ipv6: 1.1.1.1; allowed: IPv6"},
      {"multicast source", [](api::Gateway& g) { g.set_icmp_source_ipv4(bytes_of("224.0.0.1")); },
       "gateway.icmp_source_ipv4: 224.0.0.1; allowed: a unicast address"},
      {"short source", [](api::Gateway& g) { g.set_icmp_source_ipv6("123"); }, "gateway.icmp_source_ipv6: 3 bytes"},
      {"address of a port that is there", [](api::Gateway& g) { g.set_ipv4(bytes_of("10.0.0.1")); },
       "port \"a\".addresses[0]: 10.0.0.1 is the gateway's"},
  };
  for (const GatewayCase& row : cases) {
    SCOPED_TRACE(row.name);
    TestSwitch sw;
    ASSERT_TRUE(sw.apply(upsert({pod("a", {"10.0.0.1"})})).ok());
    api::ApplyRequest request;
    request.mutable_gateway()->set_mac(std::string("\x02\0\0\0\0\x09", 6));
    request.mutable_gateway()->set_ipv4(bytes_of("169.254.1.2"));
    request.mutable_gateway()->set_ipv6(bytes_of("fe80::2"));
    row.edit(*request.mutable_gateway());
    const auto result = sw.apply(request);
    ASSERT_EQ(result.ok(), row.error.empty()) << (result.ok() ? "" : result.error().message);
    EXPECT_EQ(sw.publisher.current()->gateway.mac == kGatewayMac, !row.error.empty());
    EXPECT_EQ(result.ok() ? "" : result.error().message.substr(0, row.error.size()), row.error);
  }
}

TEST(ApplyRemovals, NameOfAPortThatIsUpsertedTooIsRefused) {
  TestSwitch sw;
  api::ApplyRequest request = upsert({pod("a", {"10.0.0.1"})});
  request.add_remove_ports("b");
  request.add_remove_ports("a");
  EXPECT_EQ(sw.apply(request).error().message, "remove_ports[1]: \"a\" is also in upsert_ports");
}

TEST(ApplyRemovals, NameThatCannotBeIsRefused) {
  TestSwitch sw;
  EXPECT_EQ(sw.apply(remove({"fine", std::string(64, 'x')})).error().message,
            "remove_ports[1]: 64 characters; allowed: 1..63");
}

}  // namespace
}  // namespace millrace::control::switchd
