// VXLAN: frames that Linux's vxlan device has made are opened; what is put in is checked by another way of summing.
#include "net/vxlan.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

#include "net/checksum.h"
#include "net/ip_header.h"
#include "tests/net/packet_builder.h"

namespace millrace::net {
namespace {

using tests::Bytes;
using tests::eth;
using tests::TestPacket;

constexpr std::uint32_t kVni = 4096;
const Mac kVtep = tests::mac("02:00:00:00:00:11");

Bytes from_hex(std::string_view text) {
  Bytes bytes;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(std::string(text.substr(at, 2)), nullptr, 16)));
  }
  return bytes;
}

// Captured on the receiving veth from `ip link add type vxlan id 4096 dstport 4789`, Linux 6.18: a UDP datagram to port
// 53 in each. Over IPv4 with a checksum, TOS 0xb8.
const Bytes kLinuxV4 = from_hex(
    "020000000031020000000021080045000057f4ca0000401101c8c0000202c0000201d3bc12b500439ed6080000000010000002000000001102"
    "0000000012080045b800259b0b4000401181100af504090af404039c4100350011ab986f7665722069707634");
// The same, ECT(0): Linux has copied it outwards.
const Bytes kLinuxEct0 = from_hex(
    "02000000003102000000002108004502005cf4cb0000401101c0c0000202c000020183f212b50048ee9b080000000010000002000000001102"
    "000000001208004502002a9b0c4000401181c00af504090af404039c4200350016832865637430206f7665722069707634");
const Bytes kLinuxV6 = from_hex(
    "02000000003102000000002186dd601000000043114020010db800000000000000000000000220010db8000000000000000000000001d9f412"
    "b50043c52d0800000000100000020000000011020000000012080045b90025b4624000401163b80af506090af406039c4300350011a5966f76"
    "65722069707636");
const Bytes kLinuxSixInFour = from_hex(
    "02000000003102000000002108004500006ff4cc0000401101aec0000202c0000201965c12b5005bbde7080000000010000002000000001102"
    "000000001286dd628f0d6c00151140fd000010024500040000000000000009fd0000100244000000000000000000039c4400350015a2417369"
    "78206f76657220666f7572");
// DSCP 0x0a and ECT(0) inside, of which Linux copies the ECN.
const Bytes kLinuxSixInSix = from_hex(
    "02000000003102000000002186dd60200000005a114020010db800000000000000000000000220010db80000000000000000000000018b9812"
    "b5005a6f45080000000010000002000000001102000000001286dd62ae8f4400141140fd000010024500060000000000000009fd0000100244"
    "000000000000000000039c45003500141a31736978206f76657220736978");
const Bytes kLinuxTos0 = from_hex(
    "02000000003102000000002186dd60000000004a114020010db800000000000000000000000220010db800000000000000000000000189a912"
    "b5004a1572080000000010000002000000001102000000001208004500002cb47140004011645b0af506090af406039c4600350018221e6c65"
    "667420746f206120646576696365");

TEST(Vxlan, OpensWhatLinuxSends) {
  struct Row {
    const char* name;
    const Bytes& frame;
    std::uint16_t source_port;
    std::uint8_t traffic_class;
    std::string payload;
  };
  for (const Row& row :
       {Row{"IPv4", kLinuxV4, 40001, 0xb8, "over ipv4"}, Row{"ECT(0)", kLinuxEct0, 40002, 0x02, "ect0 over ipv4"},
        Row{"IPv6, ECT(1)", kLinuxV6, 40003, 0xb9, "over ipv6"},
        Row{"IPv6 in IPv4", kLinuxSixInFour, 40004, 0x28, "six over four"},
        Row{"IPv6 in IPv6", kLinuxSixInSix, 40005, 0x2a, "six over six"},
        Row{"TOS 0", kLinuxTos0, 40006, 0, "left to a device"}}) {
    TestPacket packet(row.frame);
    ASSERT_EQ(packet.parse(), Drop::kNone) << row.name;
    ASSERT_EQ(check_vxlan(*packet, kVni, kVtep), Drop::kNone) << row.name;
    ASSERT_EQ(open_vxlan(*packet), Drop::kNone) << row.name;
    const Headers& headers = packet->headers;
    EXPECT_EQ(headers.source_port, row.source_port) << row.name;
    EXPECT_EQ(headers.destination_port, 53) << row.name;
    EXPECT_EQ(traffic_class(*packet), row.traffic_class) << row.name;
    EXPECT_EQ(ethernet(*packet).destination, kVtep) << row.name;
    EXPECT_TRUE(l4_checksum_is_right(packet->head(), headers)) << row.name;
    const Bytes inner = packet.bytes();
    EXPECT_EQ(std::string(inner.begin() + headers.payload_offset, inner.end()), row.payload) << row.name;
  }
}

VxlanEnds ends_of(const char* source, const char* destination) {
  return {.source_mac = tests::mac("02:00:00:00:00:21"),
          .destination_mac = tests::mac("02:00:00:00:00:31"),
          .source = IpAddress::parse(source).value(),
          .destination = IpAddress::parse(destination).value(),
          .udp_port = 4789,
          .vni = kVni,
          .inner_source = tests::mac("02:00:00:00:00:12"),
          .inner_destination = kVtep};
}
const VxlanEnds kOverV4 = ends_of("192.0.2.2", "192.0.2.1");
const VxlanEnds kOverV6 = ends_of("2001:db8::2", "2001:db8::1");

TEST(Vxlan, SendsWhatLinuxSendsButForTheSourcePort) {
  TestPacket packet(Bytes(kLinuxTos0.begin() + 70, kLinuxTos0.end()));
  ASSERT_EQ(packet.parse(), Drop::kNone);
  ASSERT_TRUE(encapsulate(*packet, make_vxlan_header(kOverV6)));
  auto& udp = view<UdpHeader>(packet->data + 54);
  const Be16 theirs = view<UdpHeader>(kLinuxTos0.data() + 54).source_port;
  udp.checksum = update_checksum(udp.checksum, udp.source_port, theirs);
  udp.source_port = theirs;
  EXPECT_EQ(packet.bytes(), kLinuxTos0);
}

TEST(Vxlan, OverIpv4) {
  TestPacket packet(Bytes(kLinuxEct0.begin() + 50, kLinuxEct0.end()));
  ASSERT_EQ(packet.parse(), Drop::kNone);
  ASSERT_TRUE(encapsulate(*packet, make_vxlan_header(kOverV4)));
  const Bytes sent = packet.bytes();
  ASSERT_EQ(sent.size(), kLinuxEct0.size());
  const auto& ip = view<Ipv4Header>(sent.data() + 14);
  EXPECT_TRUE(ipv4_checksum_is_right(ip));
  EXPECT_EQ(ip.ttl, 64);
  EXPECT_TRUE(ip.dont_fragment());
  EXPECT_EQ(ip.tos, 0x02);
  EXPECT_EQ(ip.source, tests::v4("192.0.2.2"));
  EXPECT_EQ(ip.destination, tests::v4("192.0.2.1"));
  EXPECT_EQ(view<UdpHeader>(sent.data() + 34).checksum, Be16());
  EXPECT_TRUE(std::equal(sent.begin() + 42, sent.end(), kLinuxEct0.begin() + 42)) << "VXLAN and what is inside";
  EXPECT_EQ(packet->headers.l3_offset, 64);
  EXPECT_EQ(packet->headers.payload_offset, 64 + 28);
}

/// Everything that is encapsulated: protocols, with and without a checksum that may stand for the payload.
std::vector<std::pair<const char*, Bytes>> inner_frames(std::size_t payload) {
  const auto four = [] { return eth().ipv4("10.244.0.1", "10.245.0.1"); };
  const auto six = [] { return eth().ipv6("fd00::1", "fd00::2"); };
  return {{"udp", four().udp(1, 2).payload(payload).bytes()},
          {"udp without checksum", four().udp(1, 2).no_checksum().payload(payload).bytes()},
          {"udp left to offload", four().udp(1, 2).partial_checksum().payload(payload).bytes()},
          {"tcp", four().tcp(1, 2).payload(payload).bytes()},
          {"tcp left to offload", four().tcp(1, 2).partial_checksum().payload(payload).bytes()},
          {"sctp", four().sctp(1, 2).payload(payload).bytes()},
          {"icmp", four().icmp(8, 0, 5, 1).payload(payload).bytes()},
          {"ip options", eth().ipv4("10.244.0.1", "10.245.0.1").options({1, 1, 1}).tcp(1, 2).payload(payload).bytes()},
          {"fragment", four().fragment(8, false).protocol(17).payload(payload + 1).bytes()},
          {"vlan", eth().vlan(7).ipv4("10.244.0.1", "10.245.0.1").udp(1, 2).payload(payload).bytes()},
          {"udp6", six().udp(1, 2).payload(payload).bytes()},
          {"tcp6", six().tcp(1, 2).payload(payload).bytes()},
          {"tcp6 behind options", eth().ipv6("fd00::1", "fd00::2").extension(60).tcp(1, 2).payload(payload).bytes()},
          {"icmp6", six().icmpv6(128, 0, 5, 1).payload(payload).bytes()}};
}

TEST(Vxlan, WhatIsPutInComesOutAndTheChecksumIsRight) {
  for (const std::size_t payload : {0u, 1u, 2u, 17u, 18u, 64u, 1399u, 1400u}) {
    for (const auto& [name, frame] : inner_frames(payload)) {
      for (const VxlanEnds& ends : {kOverV4, kOverV6}) {
        TestPacket packet(frame);
        ASSERT_EQ(packet.parse(), Drop::kNone) << name;
        // As a packet leaves: a sum left to offload is completed before (datapath/rewrite.h).
        if (l4_checksum_is_partial(packet->head(), packet->headers)) {
          ASSERT_TRUE(complete_l4_checksum(packet->head(), packet->headers));
        }
        const Bytes inner(packet->data + packet->headers.l3_offset, packet->data + packet->head_bytes);
        ASSERT_TRUE(encapsulate(*packet, make_vxlan_header(ends))) << name;
        ASSERT_EQ(packet.parse(), Drop::kNone) << name;
        EXPECT_EQ(packet->length_bytes, packet->headers.l3_offset + packet->headers.l3_length) << name;
        EXPECT_TRUE(l4_checksum_is_right(packet->head(), packet->headers)) << name << " of " << payload;
        EXPECT_GE(packet->headers.source_port, 49152) << name;
        ASSERT_EQ(check_vxlan(*packet, kVni, kVtep), Drop::kNone) << name;
        ASSERT_EQ(open_vxlan(*packet), Drop::kNone) << name;
        EXPECT_EQ(Bytes(packet->data + 14, packet->data + packet->head_bytes), inner) << name << " of " << payload;
      }
    }
  }
}

TEST(Vxlan, PaddingStaysBehind) {
  Bytes frame = eth().ipv4("10.244.0.1", "10.245.0.1").udp(1, 2).bytes();
  frame.resize(60, 0xee);
  TestPacket packet(frame);
  ASSERT_EQ(packet.parse(), Drop::kNone);
  ASSERT_TRUE(encapsulate(*packet, make_vxlan_header(kOverV4)));
  EXPECT_EQ(packet->length_bytes, 64u + 28);
  Bytes padded = packet.bytes();
  padded.resize(padded.size() + 10, 0xee);
  TestPacket arrived(padded);
  ASSERT_EQ(arrived.parse(), Drop::kNone);
  ASSERT_EQ(check_vxlan(*arrived, kVni, kVtep), Drop::kNone);
  ASSERT_EQ(open_vxlan(*arrived), Drop::kNone);
  EXPECT_EQ(arrived->length_bytes, 14u + 28);
}

TEST(Vxlan, WithoutEncapsulationTheEthernetHeaderIsNew) {
  for (const auto& [name, frame] : inner_frames(20)) {
    TestPacket packet(frame);
    ASSERT_EQ(packet.parse(), Drop::kNone);
    const Bytes inner(packet->data + packet->headers.l3_offset, packet->data + packet->head_bytes);
    ASSERT_TRUE(encapsulate(*packet, make_plain_header(kOverV4.destination_mac, kOverV4.source_mac)));
    ASSERT_EQ(packet.parse(), Drop::kNone) << name;
    EXPECT_EQ(ethernet(*packet).destination, kOverV4.destination_mac) << name;
    EXPECT_EQ(ethernet(*packet).source, kOverV4.source_mac) << name;
    EXPECT_EQ(packet->headers.vlan_count, 0) << name;
    EXPECT_EQ(Bytes(packet->data + 14, packet->data + packet->head_bytes), inner) << name;
  }
}

TEST(Vxlan, NeedsHeadroom) {
  const Bytes frame = eth().ipv4("10.244.0.1", "10.245.0.1").udp(1, 2).bytes();
  TestPacket tight(frame, 49);
  ASSERT_EQ(tight.parse(), Drop::kNone);
  EXPECT_FALSE(encapsulate(*tight, make_vxlan_header(kOverV4)));
  EXPECT_EQ(tight.bytes(), frame);
  TestPacket enough(frame, 50);
  ASSERT_EQ(enough.parse(), Drop::kNone);
  EXPECT_TRUE(encapsulate(*enough, make_vxlan_header(kOverV4)));
}

TEST(Vxlan, RefusesByName) {
  // 34: UDP, 42: VXLAN, 46: VNI, 50: inner destination.
  Bytes short_datagram = kLinuxV4;
  short_datagram[38] = 0, short_datagram[39] = 8 + 21;
  Bytes no_checksum = kLinuxV4;
  no_checksum[40] = no_checksum[41] = 0;
  Bytes reserved = no_checksum;
  for (const std::size_t at : {43u, 44u, 45u, 49u}) reserved[at] = 0xff;  // RFC 7348 section 5: ignored on receipt
  struct Row {
    const char* name;
    Bytes frame;
    Drop drop;
  };
  for (const Row& row :
       {Row{"right", kLinuxV4, Drop::kNone}, Row{"no checksum", no_checksum, Drop::kNone},
        Row{"reserved bits", reserved, Drop::kNone}, Row{"datagram too short", short_datagram, Drop::kTunnelBadHeader},
        Row{"no VNI", tests::patch(kLinuxV4, 42, 0), Drop::kTunnelBadHeader},
        Row{"another VNI", tests::patch(kLinuxV4, 48, 1), Drop::kTunnelBadVni},
        Row{"a MAC of another", tests::patch(kLinuxV4, 55, 1), Drop::kTunnelBadMac},
        Row{"all MACs", tests::patch(kLinuxV4, 50, 0xff), Drop::kTunnelBadMac},
        Row{"damage", tests::patch(kLinuxV4, kLinuxV4.size() - 1, 0), Drop::kTunnelBadChecksum},
        Row{"damage over IPv6", tests::patch(kLinuxV6, kLinuxV6.size() - 1, 0), Drop::kTunnelBadChecksum}}) {
    TestPacket packet(row.frame);
    ASSERT_EQ(packet.parse(), Drop::kNone) << row.name;
    EXPECT_EQ(check_vxlan(*packet, kVni, kVtep), row.drop) << row.name;
  }
}

/// On a virtual link nobody fills in what the sender's stack has left to a device.
TEST(Vxlan, ChecksumsThatWereLeftToADeviceAreNoDamage) {
  for (const Bytes& frame : {kLinuxV4, kLinuxV6}) {
    TestPacket outer(frame);
    ASSERT_EQ(outer.parse(), Drop::kNone);
    const bool is_v4 = outer->headers.l3 == L3::kIpv4;
    const std::uint32_t inner_udp = outer->headers.payload_offset + 8 + 14 + 20;
    const auto& inner_ip = view<Ipv4Header>(outer->data + inner_udp - 20);
    auto& udp = view<UdpHeader>(outer->data + inner_udp);
    const Be16 right = udp.checksum;
    udp.checksum =
        Be16::from_raw(fold(pseudo_header_sum(inner_ip.source, inner_ip.destination, 17, udp.length.host())));
    EXPECT_EQ(check_vxlan(*outer, kVni, kVtep), Drop::kNone) << "the inner one";
    EXPECT_EQ(udp.checksum, right) << "is completed on the way";
    auto& own = view<UdpHeader>(outer->data + outer->headers.l4_offset);
    const Sum pseudo = is_v4 ? pseudo_header_sum(ipv4(*outer).source, ipv4(*outer).destination, 17, own.length.host())
                             : pseudo_header_sum(ipv6(*outer).source, ipv6(*outer).destination, 17, own.length.host());
    own.checksum = Be16::from_raw(fold(pseudo));
    EXPECT_EQ(check_vxlan(*outer, kVni, kVtep), Drop::kNone) << "the outer one";
  }
}

/// RFC 6040 figure 4, row by row: inner Not-ECT, ECT(0), ECT(1), CE; columns outer Not-ECT, ECT(0), ECT(1), CE.
TEST(Vxlan, EcnOfBothIsCombined) {
  using namespace ecn;
  constexpr int kLost = -1;
  const std::uint8_t order[] = {kNotEct, kEct0, kEct1, kCe};
  const int expected[4][4] = {
      {kNotEct, kNotEct, kNotEct, kLost}, {kEct0, kEct0, kEct1, kCe}, {kEct1, kEct1, kEct1, kCe}, {kCe, kCe, kCe, kCe}};
  for (int inner = 0; inner < 4; ++inner) {
    for (int outer = 0; outer < 4; ++outer) {
      const auto merged = decapsulated_ecn(order[inner], order[outer]);
      EXPECT_EQ(merged ? int{*merged} : kLost, expected[inner][outer]) << "inner " << inner << " outer " << outer;
      for (const bool is_v6 : {false, true}) {
        const std::uint8_t dscp = 0x68;
        TestPacket packet(is_v6 ? eth().ipv6("fd00::1", "fd00::2").udp(1, 2).bytes()
                                : eth().ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).bytes());
        ASSERT_EQ(packet.parse(), Drop::kNone);
        if (is_v6) {
          ipv6(*packet).version_class_flow = Be32(6u << 28 | static_cast<std::uint32_t>(dscp | order[inner]) << 20 | 7);
        } else {
          ipv4(*packet).tos = static_cast<std::uint8_t>(dscp | order[inner]);
          set_ipv4_checksum(ipv4(*packet));
        }
        ASSERT_TRUE(encapsulate(*packet, make_vxlan_header(kOverV4)));
        ASSERT_EQ(packet.parse(), Drop::kNone);
        EXPECT_EQ(traffic_class(*packet), dscp | order[inner]) << "normal mode";
        set_ecn(*packet, order[outer]);
        ipv4(*packet).tos = static_cast<std::uint8_t>(0xe0 | order[outer]);  // what the underlay thinks of DSCP
        ASSERT_EQ(check_vxlan(*packet, kVni, kVtep), Drop::kNone);
        const Drop drop = open_vxlan(*packet);
        ASSERT_EQ(drop, expected[inner][outer] == kLost ? Drop::kTunnelEcn : Drop::kNone);
        if (drop == Drop::kNone) { EXPECT_EQ(traffic_class(*packet), dscp | expected[inner][outer]) << "DSCP stays"; }
        if (!is_v6) { EXPECT_TRUE(ipv4_checksum_is_right(ipv4(*packet))); }
      }
    }
  }
}

TEST(Vxlan, SourcePortsAreOfFlowsAndSpread) {
  std::mt19937 random(1);
  std::set<std::uint16_t> ports;
  const auto port_of = [](const Bytes& frame) {
    TestPacket packet(frame);
    EXPECT_EQ(packet.parse(), Drop::kNone);
    EXPECT_TRUE(encapsulate(*packet, make_vxlan_header(kOverV4)));
    return view<UdpHeader>(packet->data + 34).source_port.host();
  };
  constexpr unsigned kFlows = 2000;
  for (unsigned i = 0; i < kFlows; ++i) {
    const auto port = static_cast<std::uint16_t>(1024 + i);
    const auto flow = [&] { return eth().ipv4("10.244.0.1", "10.245.0.1").udp(port, 53); };
    const std::uint16_t one = port_of(flow().payload(random() % 100).bytes());
    EXPECT_EQ(one, port_of(flow().payload(200).bytes())) << "all packets of a flow take one path";
    ports.insert(one);
  }
  // Of 16384 ports, 2000 flows at random hit about 1880.
  EXPECT_GT(ports.size(), kFlows * 9 / 10);
}

}  // namespace
}  // namespace millrace::net
