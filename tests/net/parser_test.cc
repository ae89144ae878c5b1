// parse(): Ethernet, VLAN, ARP, IPv4 and L4, one row for each header and each reason to drop.

#include "net/parser.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;

constexpr std::string_view kA = "10.0.0.1", kB = "10.0.0.2";
constexpr std::size_t kIp = 14, kL4 = 34;  // offsets in an untagged frame without IPv4 options

struct DropRow {
  std::string name;
  Bytes frame;
  Drop drop;
};

void expect_drops(const std::vector<DropRow>& rows) {
  for (const DropRow& row : rows) {
    TestPacket packet(row.frame, 0, 0);
    EXPECT_EQ(drop_name(packet.parse()), drop_name(row.drop)) << row.name << "\n" << describe(row.frame);
  }
}

Bytes udp() { return eth().ipv4(kA, kB).udp(1000, 53).payload("hello").bytes(); }
Bytes tcp() { return eth().ipv4(kA, kB).tcp(1000, 80).payload("hello").bytes(); }

TEST(Parser, NamesTheReasonForABadFrame) {
  expect_drops({
      {"empty", {}, Drop::kFrameTooShort},
      {"13 bytes", cut(udp(), 13), Drop::kFrameTooShort},
      {"inside a VLAN tag", cut(eth().vlan(5).ipv4(kA, kB).bytes(), 17), Drop::kFrameTooShort},
      {"three tags", eth().vlan(1).vlan(2).vlan(3).ipv4(kA, kB).udp(1, 2).bytes(), Drop::kVlanTooDeep},
      {"third tag cut off", cut(eth().vlan(1).vlan(2).vlan(3).bytes(), 22), Drop::kVlanTooDeep},
      {"unknown type", eth().payload("hello").bytes(), Drop::kUnknownEtherType},
      {"IEEE 802.3 length", patch(patch(eth().payload(46u).bytes(), 12, 0), 13, 46), Drop::kUnknownEtherType},
      {"unknown type behind a tag", eth().vlan(5).payload("hello").bytes(), Drop::kUnknownEtherType},
      {"ARP cut off", cut(eth().arp(1, kMacA, kA, kMacB, kB).bytes(), 41), Drop::kArpBad},
      {"ARP for another hardware", patch(eth().arp(1, kMacA, kA, kMacB, kB).bytes(), 15, 6), Drop::kArpBad},
      {"ARP for another protocol", patch(eth().arp(1, kMacA, kA, kMacB, kB).bytes(), 16, 0x86), Drop::kArpBad},
      {"ARP hardware length", patch(eth().arp(1, kMacA, kA, kMacB, kB).bytes(), 18, 8), Drop::kArpBad},
      {"ARP protocol length", patch(eth().arp(1, kMacA, kA, kMacB, kB).bytes(), 19, 16), Drop::kArpBad},
  });
}

TEST(Parser, NamesTheReasonForABadIpv4Header) {
  const Bytes with_options = eth().ipv4(kA, kB).options({1, 1, 1, 1}).udp(1, 2).bytes();
  expect_drops({
      {"header cut off", cut(udp(), 33), Drop::kIpv4Truncated},
      {"nothing behind Ethernet", cut(udp(), 14), Drop::kIpv4Truncated},
      {"shorter than its total length", cut(udp(), udp().size() - 1), Drop::kIpv4Truncated},
      {"options cut off", cut(with_options, 37), Drop::kIpv4Truncated},
      {"version 5", patch(udp(), kIp, 0x55), Drop::kIpv4BadHeader},
      {"version 6", patch(udp(), kIp, 0x65), Drop::kIpv4BadHeader},
      {"header length 16", patch(udp(), kIp, 0x44), Drop::kIpv4BadHeader},
      {"header length 0", patch(udp(), kIp, 0x40), Drop::kIpv4BadHeader},
      {"total length less than the header", patch_ipv4(udp(), kIp + 3, 19), Drop::kIpv4BadHeader},
      {"total length 0", patch_ipv4(udp(), kIp + 3, 0), Drop::kIpv4BadHeader},
      {"total length inside the options", patch_ipv4(with_options, kIp + 3, 22), Drop::kIpv4BadHeader},
      {"checksum", patch(udp(), kIp + 8, 63), Drop::kIpv4BadChecksum},
      {"checksum with options", patch(with_options, kIp + 8, 63), Drop::kIpv4BadChecksum},
      {"option longer than the header", eth().ipv4(kA, kB).options({7, 9, 4, 0}).udp(1, 2).bytes(),
       Drop::kIpv4BadHeader},
      {"option of length 1", eth().ipv4(kA, kB).options({7, 1, 4, 0}).udp(1, 2).bytes(), Drop::kIpv4BadHeader},
      {"option without a length", eth().ipv4(kA, kB).options({1, 1, 1, 7}).udp(1, 2).bytes(), Drop::kIpv4BadHeader},
      {"loose source route", eth().ipv4(kA, kB).options({131, 7, 4, 10, 0, 0, 9}).udp(1, 2).bytes(),
       Drop::kSourceRouted},
      {"strict source route", eth().ipv4(kA, kB).options({137, 7, 4, 10, 0, 0, 9}).udp(1, 2).bytes(),
       Drop::kSourceRouted},
  });
}

TEST(Parser, NamesTheReasonForABadL4Header) {
  expect_drops({
      {"TCP cut off by the IP length", eth().ipv4(kA, kB).protocol(6).payload(19u).bytes(), Drop::kL4Truncated},
      {"TCP options behind the packet", patch(eth().ipv4(kA, kB).tcp(1, 2).bytes(), kL4 + 12, 0x60),
       Drop::kL4Truncated},
      {"TCP data offset 4", patch(tcp(), kL4 + 12, 0x40), Drop::kL4BadHeader},
      {"TCP data offset 0", patch(tcp(), kL4 + 12, 0x00), Drop::kL4BadHeader},
      {"UDP cut off", eth().ipv4(kA, kB).protocol(17).payload(7u).bytes(), Drop::kL4Truncated},
      {"UDP length 0", patch(udp(), kL4 + 5, 0), Drop::kL4BadHeader},
      {"UDP length 7", patch(udp(), kL4 + 5, 7), Drop::kL4BadHeader},
      {"UDP length over the packet", patch(udp(), kL4 + 5, 14), Drop::kL4BadHeader},
      {"UDP length far over the packet", patch(udp(), kL4 + 4, 0xff), Drop::kL4BadHeader},
      {"SCTP cut off", eth().ipv4(kA, kB).protocol(132).payload(11u).bytes(), Drop::kL4Truncated},
      {"ICMP cut off", eth().ipv4(kA, kB).protocol(1).payload(7u).bytes(), Drop::kL4Truncated},
      {"no payload at all", eth().ipv4(kA, kB).protocol(6).bytes(), Drop::kL4Truncated},
  });
}

TEST(Parser, NamesTheReasonForABadIpv4Fragment) {
  const auto later = [](std::uint8_t protocol, std::uint32_t offset, bool more, std::size_t bytes) {
    return eth().ipv4(kA, kB).protocol(protocol).fragment(offset, more).payload(bytes).bytes();
  };
  expect_drops({
      {"nothing in it", later(17, 8, true, 0), Drop::kFragmentBad},
      {"not a multiple of 8 with more to come", later(17, 1480, true, 9), Drop::kFragmentBad},
      {"beyond 65535 bytes", later(17, 65528, false, 8), Drop::kFragmentBad},
      {"tiny first fragment, TCP (RFC 1858)", later(6, 0, true, 16), Drop::kFragmentBad},
      {"tiny first fragment, SCTP", later(132, 0, true, 8), Drop::kFragmentBad},
      {"starts at byte 8 of TCP (RFC 1858, 3128)", later(6, 8, false, 12), Drop::kFragmentBad},
      {"starts at byte 16 of TCP", later(6, 16, false, 12), Drop::kFragmentBad},
      {"starts at byte 8 of SCTP", later(132, 8, false, 12), Drop::kFragmentBad},
      {"TCP options cut off", patch(eth().ipv4(kA, kB).fragment(0, true).tcp(1, 2).payload(4u).bytes(), kL4 + 12, 0x80),
       Drop::kFragmentBad},
  });
}

struct HeaderRow {
  std::string name;
  Bytes frame;
  Headers headers;
};

/// One field a line, so that a failure shows which differs.
std::string text(const Headers& h) {
  const std::pair<const char*, unsigned> fields[] = {{"l3", static_cast<unsigned>(h.l3)},
                                                     {"l4_protocol", h.l4_protocol},
                                                     {"vlan_count", h.vlan_count},
                                                     {"ttl", h.ttl},
                                                     {"vlan_id", h.vlan_id},
                                                     {"l3_offset", h.l3_offset},
                                                     {"l4_offset", h.l4_offset},
                                                     {"payload_offset", h.payload_offset},
                                                     {"l3_length", h.l3_length},
                                                     {"source_port", h.source_port},
                                                     {"destination_port", h.destination_port},
                                                     {"icmp_type", h.icmp_type},
                                                     {"icmp_code", h.icmp_code},
                                                     {"is_fragment", h.is_fragment},
                                                     {"is_first_fragment", h.is_first_fragment},
                                                     {"has_l4", h.has_l4}};
  std::string all;
  for (const auto& [name, value] : fields) all += std::string(name) + " " + std::to_string(value) + "\n";
  return all;
}

/// What is expected of a plain packet; rows change what differs.
Headers expected(std::uint8_t protocol, std::uint16_t l4_header_bytes, std::uint32_t l3_length) {
  Headers h;
  h.l3 = L3::kIpv4;
  h.l4_protocol = protocol;
  h.ttl = 64;
  h.l3_offset = kIp;
  h.l4_offset = kL4;
  h.payload_offset = static_cast<std::uint16_t>(kL4 + l4_header_bytes);
  h.l3_length = l3_length;
  h.has_l4 = l4_header_bytes != 0;
  return h;
}

template <typename Change>
Headers with(Headers headers, Change change) {
  change(headers);
  return headers;
}

Headers ports(Headers headers, std::uint16_t source, std::uint16_t destination) {
  headers.source_port = source;
  headers.destination_port = destination;
  return headers;
}

Headers moved(Headers headers, unsigned tags, std::uint16_t vlan_id) {
  headers.vlan_count = static_cast<std::uint8_t>(tags);
  headers.vlan_id = vlan_id;
  for (std::uint16_t* offset : {&headers.l3_offset, &headers.l4_offset, &headers.payload_offset}) {
    *offset = static_cast<std::uint16_t>(*offset + tags * 4);
  }
  return headers;
}

void expect_headers(const std::vector<HeaderRow>& rows) {
  for (const HeaderRow& row : rows) {
    TestPacket packet(row.frame, 0, 0);
    EXPECT_EQ(drop_name(packet.parse()), "none") << row.name;
    EXPECT_EQ(text(packet->headers), text(row.headers)) << row.name;
  }
}

TEST(Parser, FindsL4BehindIpv4) {
  expect_headers({
      {"UDP", udp(), ports(expected(17, 8, 33), 1000, 53)},
      {"UDP without payload", eth().ipv4(kA, kB).udp(7, 8).bytes(), ports(expected(17, 8, 28), 7, 8)},
      {"UDP with bytes behind its length (RFC 9868)", patch(udp(), kL4 + 5, 8), ports(expected(17, 8, 33), 1000, 53)},
      {"TCP", tcp(), ports(expected(6, 20, 45), 1000, 80)},
      {"TCP with options", eth().ipv4(kA, kB).tcp(1, 65535).options(Bytes(40, 1)).bytes(),
       ports(expected(6, 60, 80), 1, 65535)},
      {"SCTP", eth().ipv4(kA, kB).sctp(5, 6).payload(8u).bytes(), ports(expected(132, 12, 40), 5, 6)},
      {"ICMP echo request: identifier in both ports", eth().ipv4(kA, kB).icmp(8, 0, 77, 1).bytes(),
       with(ports(expected(1, 8, 28), 77, 77), [](Headers& h) { h.icmp_type = 8; })},
      {"ICMP echo reply", eth().ipv4(kA, kB).icmp(0, 0, 78, 1).bytes(), ports(expected(1, 8, 28), 78, 78)},
      {"ICMP error: no ports", eth().ipv4(kA, kB).icmp(3, 4, 99, 1400).bytes(),
       with(expected(1, 8, 28),
            [](Headers& h) {
              h.icmp_type = 3;
              h.icmp_code = 4;
            })},
      {"ICMPv6 inside IPv4 is not read", eth().ipv4(kA, kB).icmpv6(128).bytes(), expected(58, 0, 28)},
      {"another protocol", eth().ipv4(kA, kB).protocol(47).payload(3u).bytes(), expected(47, 0, 23)},
      {"no payload, another protocol", eth().ipv4(kA, kB).protocol(47).bytes(), expected(47, 0, 20)},
  });
}

TEST(Parser, FindsHeadersWhereverTheyLie) {
  const Bytes padding(20, 0);
  Bytes padded = udp();
  padded.insert(padded.end(), padding.begin(), padding.end());
  expect_headers({
      {"one tag", eth().vlan(5).ipv4(kA, kB).udp(7, 8).bytes(), moved(ports(expected(17, 8, 28), 7, 8), 1, 5)},
      {"two tags: the outer one's id", eth().vlan(4094, ether_type::kQinQ).vlan(6).ipv4(kA, kB).udp(7, 8).bytes(),
       moved(ports(expected(17, 8, 28), 7, 8), 2, 4094)},
      {"priority and drop bits are not the id", patch(eth().vlan(5).ipv4(kA, kB).udp(7, 8).bytes(), 14, 0xf0),
       moved(ports(expected(17, 8, 28), 7, 8), 1, 5)},
      {"Ethernet padding is not the packet", padded, ports(expected(17, 8, 33), 1000, 53)},
      {"IPv4 options", eth().ipv4(kA, kB).ttl(3).options({148, 4, 0, 0}).udp(7, 8).bytes(),
       with(ports(expected(17, 8, 32), 7, 8), [](Headers& h) { h.l4_offset = 38, h.payload_offset = 46, h.ttl = 3; })},
      {"60 bytes of IPv4 header", eth().ipv4(kA, kB).options(Bytes(40, 1)).udp(7, 8).bytes(),
       with(ports(expected(17, 8, 68), 7, 8), [](Headers& h) { h.l4_offset = 74, h.payload_offset = 82; })},
      {"anything behind the end of the options", eth().ipv4(kA, kB).options({0, 131, 1, 1}).udp(7, 8).bytes(),
       with(ports(expected(17, 8, 32), 7, 8), [](Headers& h) { h.l4_offset = 38, h.payload_offset = 46; })},
      {"ARP", eth().arp(1, kMacA, kA, kMacB, kB).bytes(), {.l3 = L3::kArp, .l3_offset = kIp, .l3_length = 28}},
  });
}

TEST(Parser, KnowsFragments) {
  const auto fragment = [](Headers h, bool first) {
    h.is_fragment = true;
    h.is_first_fragment = first;
    return h;
  };
  expect_headers({
      {"first", eth().ipv4(kA, kB).fragment(0, true).udp(7, 8).payload(8u).bytes(),
       fragment(ports(expected(17, 8, 36), 7, 8), true)},
      {"first: the UDP length is the datagram's",
       patch(eth().ipv4(kA, kB).fragment(0, true).udp(7, 8).payload(8u).bytes(), kL4 + 4, 4),
       fragment(ports(expected(17, 8, 36), 7, 8), true)},
      {"later: ports are unknown", eth().ipv4(kA, kB).fragment(1480, true).protocol(17).payload(16u).bytes(),
       fragment(expected(17, 0, 36), false)},
      {"last, any length", eth().ipv4(kA, kB).fragment(1480, false).protocol(17).payload(3u).bytes(),
       fragment(expected(17, 0, 23), false)},
      {"TCP from byte 24 on", eth().ipv4(kA, kB).fragment(24, false).protocol(6).payload(3u).bytes(),
       fragment(expected(6, 0, 23), false)},
      {"up to byte 65535", eth().ipv4(kA, kB).fragment(65512, false).protocol(17).payload(3u).bytes(),
       fragment(expected(17, 0, 23), false)},
      {"don't fragment alone is no fragment", eth().ipv4(kA, kB).dont_fragment().udp(7, 8).bytes(),
       ports(expected(17, 8, 28), 7, 8)},
  });
}

TEST(Parser, ChecksLengthsAgainstAllSegmentsAndHeadersAgainstTheFirst) {
  const Bytes whole = eth().ipv4(kA, kB).tcp(1, 2).payload(1000u).bytes();
  const auto all = static_cast<std::uint32_t>(whole.size());
  Headers headers;
  TestPacket head(cut(whole, 64), 0, 0);
  EXPECT_EQ(parse(head->head(), all, headers), Drop::kNone);
  EXPECT_EQ(headers.l3_length, 1040u);
  EXPECT_EQ(parse(head->head(), all - 1, headers), Drop::kIpv4Truncated);
  TestPacket short_head(cut(whole, 53), 0, 0);
  EXPECT_EQ(parse(short_head->head(), all, headers), Drop::kL4Truncated) << "TCP header in two segments";
}

TEST(Parser, KeepsWhatItFoundBeforeADrop) {
  TestPacket packet(patch(udp(), kL4 + 5, 0), 0, 0);
  EXPECT_EQ(packet.parse(), Drop::kL4BadHeader);
  EXPECT_EQ(packet->headers.l3, L3::kIpv4);
  EXPECT_EQ(packet->headers.l4_offset, kL4);
  EXPECT_FALSE(packet->headers.has_l4);
}

}  // namespace
}  // namespace millrace::tests
