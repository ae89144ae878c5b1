// VXLAN as nearly all of it comes, taken out at first sight: whatever is_common_vxlan() lets pass, the whole way of
// parse(), check_vxlan() and open_vxlan() makes the same of.
#include <gtest/gtest.h>

#include <random>
#include <tuple>

#include "net/checksum.h"
#include "net/ip_header.h"
#include "net/vxlan.h"
#include "tests/net/packet_builder.h"

namespace millrace::net {
namespace {

using tests::Bytes;
using tests::eth;
using tests::TestPacket;

constexpr unsigned kMutations = 400'000;
constexpr std::size_t kHeaderBytes = 64 + 20 + 8;

const Vtep kVtep{tests::v4("192.0.2.1"), 4789, 4096, tests::mac("02:00:00:00:00:11")};

Bytes sent_by_other_node(const Bytes& inner) {
  TestPacket packet(inner);
  EXPECT_EQ(packet.parse(), Drop::kNone);
  EXPECT_TRUE(encapsulate(*packet, make_vxlan_header({.source_mac = tests::mac("02:00:00:00:00:21"),
                                                      .destination_mac = tests::mac("02:00:00:00:00:31"),
                                                      .source = IpAddress::parse("192.0.2.2").value(),
                                                      .destination = IpAddress::from(kVtep.address),
                                                      .udp_port = kVtep.udp_port,
                                                      .vni = kVtep.vni,
                                                      .inner_source = tests::mac("02:00:00:00:00:12"),
                                                      .inner_destination = kVtep.mac})));
  return packet.bytes();
}

std::vector<Bytes> frames() {
  const auto four = [] { return eth().ipv4("10.245.0.1", "10.244.0.1"); };
  return {sent_by_other_node(four().udp(1, 2).payload(20u).bytes()),
          sent_by_other_node(four().tcp(1, 2).payload(20u).bytes()),
          sent_by_other_node(four().fragment(0, true).udp(1, 2).payload(24u).bytes()),
          sent_by_other_node(eth().ipv6("fd00::1", "fd00::2").udp(1, 2).payload(20u).bytes())};
}

/// The whole way. nullopt: it is refused before it is opened.
std::optional<Drop> open_whole(TestPacket& packet) {
  if (packet.parse() != Drop::kNone) return std::nullopt;
  const Headers& headers = packet->headers;
  const bool is_ours = headers.l3 == L3::kIpv4 && headers.vlan_count == 0 && !headers.is_fragment && headers.has_l4 &&
                       headers.l4_protocol == ip_protocol::kUdp && headers.destination_port == kVtep.udp_port &&
                       ipv4(*packet).destination == kVtep.address;
  if (!is_ours || check_vxlan(*packet, kVtep.vni, kVtep.mac) != Drop::kNone) return std::nullopt;
  return open_vxlan(*packet);
}

auto fields(const Headers& h) {
  return std::tie(h.l3, h.l4_protocol, h.vlan_count, h.ttl, h.vlan_id, h.l3_offset, h.l4_offset, h.payload_offset,
                  h.l3_length, h.source_port, h.destination_port, h.icmp_type, h.icmp_code, h.is_fragment,
                  h.is_first_fragment, h.has_l4);
}

TEST(CommonVxlan, IsWhatAnotherSwitchSends) {
  for (const Bytes& frame : frames()) {
    TestPacket packet(frame);
    EXPECT_TRUE(is_common_vxlan(*packet, kVtep)) << tests::describe(frame);
  }
  // With padding behind it, which stays behind.
  Bytes padded = frames()[0];
  padded.resize(padded.size() + 9);
  TestPacket packet(padded);
  ASSERT_TRUE(is_common_vxlan(*packet, kVtep));
  ASSERT_EQ(open_common_vxlan(*packet), Drop::kNone);
  EXPECT_EQ(packet->length_bytes, frames()[0].size() - 50);
}

TEST(CommonVxlan, ASegmentedPacketTakesTheWholeWay) {
  const Bytes frame = frames()[0];
  TestPacket packet(frame);
  packet->length_bytes += 1;
  EXPECT_FALSE(is_common_vxlan(*packet, kVtep));
  TestPacket cut(Bytes(frame.begin(), frame.begin() + 63));
  EXPECT_FALSE(is_common_vxlan(*cut, kVtep));
}

TEST(CommonVxlan, ComesToTheSameAsTheWholeWay) {
  std::mt19937_64 random(7);
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  const std::vector<Bytes> good = frames();
  unsigned common = 0, opened = 0, refused = 0;
  for (unsigned i = 0; i < kMutations; ++i) {
    Bytes frame = good[below(good.size())];
    for (std::uint64_t n = below(3); n > 0; --n) {
      std::uint8_t& byte = frame[below(std::min(frame.size(), kHeaderBytes))];
      byte = below(2) == 0 ? static_cast<std::uint8_t>(random()) : static_cast<std::uint8_t>(byte ^ 1 << below(8));
    }
    if (below(4) == 0) frame.resize(frame.size() + below(20));
    if (below(8) == 0) frame.resize(frame.size() - below(40));
    auto& outer = view<Ipv4Header>(frame.data() + 14);
    // A right header checksum, or the other fields are never looked at.
    if (below(4) != 0 && outer.version_ihl == 0x45) set_ipv4_checksum(outer);
    TestPacket quick(frame, 64, 0);
    TestPacket whole(frame, 64, 0);
    const std::optional<Drop> expected = open_whole(whole);
    if (!is_common_vxlan(*quick, kVtep)) {
      ASSERT_EQ(quick.bytes(), frame) << "nothing is changed";
      refused += expected.has_value();
      continue;
    }
    ++common;
    ASSERT_TRUE(expected.has_value()) << tests::describe(frame);
    const Drop drop = open_common_vxlan(*quick);
    ASSERT_EQ(drop, *expected) << tests::describe(frame);
    ASSERT_EQ(quick.bytes(), whole.bytes());
    ASSERT_TRUE(fields(quick->headers) == fields(whole->headers));
    opened += drop == Drop::kNone;
  }
  EXPECT_GT(common, kMutations / 4);
  EXPECT_GT(opened, kMutations / 8);
  EXPECT_GT(refused, 100u) << "with a UDP checksum, or options: right, and not common";
}

}  // namespace
}  // namespace millrace::net
