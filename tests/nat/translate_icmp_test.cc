// ICMP errors: the error that comes out quotes the packet its receiver has sent, byte for byte, however much is quoted.

#include <gtest/gtest.h>

#include "nat/translate.h"
#include "net/quote.h"
#include "tests/nat/lines.h"

namespace millrace::tests {
namespace {

using namespace net;
using namespace nat;

/// A packet as the pod sent it, and as it went on behind the translation.
struct Row {
  std::string name;
  PacketBuilder sent;
  PacketBuilder translated;
  std::uint16_t source_port, destination_port;        // as sent
  std::uint16_t to_source_port, to_destination_port;  // as it went on
  std::size_t least_quote;                            // bytes of IP and L4 that name a tuple
};

std::vector<Row> rows_v4() {
  const auto in = [] { return eth().ipv4("10.244.0.3", "10.96.0.10"); };
  const auto out = [] { return eth().ipv4("192.0.2.1", "10.244.1.7"); };
  return {
      {"TCP", in().tcp(4000, 53).payload(30u), out().tcp(30001, 5353).payload(30u), 4000, 53, 30001, 5353, 28},
      {"UDP", in().udp(4000, 53).payload(30u), out().udp(30001, 5353).payload(30u), 4000, 53, 30001, 5353, 28},
      {"UDP without checksum", in().udp(4000, 53).no_checksum().payload(9u),
       out().udp(30001, 5353).no_checksum().payload(9u), 4000, 53, 30001, 5353, 28},
      {"SCTP", in().sctp(4000, 53).payload(40u), out().sctp(30001, 5353).payload(40u), 4000, 53, 30001, 5353, 28},
      {"SCTP left to offload", in().sctp(4000, 53).partial_checksum().payload(40u),
       out().sctp(30001, 5353).partial_checksum().payload(40u), 4000, 53, 30001, 5353, 28},
      {"echo", in().icmp(8, 0, 5, 1).payload(20u), out().icmp(8, 0, 777, 1).payload(20u), 5, 5, 777, 777, 28},
      {"TCP behind options", in().options({148, 4, 0, 0}).tcp(4000, 53), out().options({148, 4, 0, 0}).tcp(30001, 5353),
       4000, 53, 30001, 5353, 32},
      {"first fragment of UDP", in().fragment(0, true).udp(4000, 53).payload(24u),
       out().fragment(0, true).udp(30001, 5353).payload(24u), 4000, 53, 30001, 5353, 28},
      {"another protocol", in().protocol(47).payload(24u), out().protocol(47).payload(24u), 0, 0, 0, 0, 20},
  };
}

std::vector<Row> rows_v6() {
  const auto in = [] { return eth().ipv6("fd00:244::3", "fd00:96::10"); };
  const auto out = [] { return eth().ipv6("2001:db8::1", "fd00:244:1::7"); };
  return {
      {"TCP", in().tcp(4000, 53).payload(30u), out().tcp(30001, 5353).payload(30u), 4000, 53, 30001, 5353, 48},
      {"UDP", in().udp(4000, 53).payload(30u), out().udp(30001, 5353).payload(30u), 4000, 53, 30001, 5353, 48},
      {"SCTP", in().sctp(4000, 53).payload(40u), out().sctp(30001, 5353).payload(40u), 4000, 53, 30001, 5353, 48},
      {"echo", in().icmpv6(128, 0, 5, 1).payload(20u), out().icmpv6(128, 0, 777, 1).payload(20u), 5, 5, 777, 777, 48},
      {"TCP behind extension headers", in().extension(0).extension(60, 16).tcp(4000, 53),
       out().extension(0).extension(60, 16).tcp(30001, 5353), 4000, 53, 30001, 5353, 72},
      {"first fragment of UDP", in().ipv6_fragment(0, true).udp(4000, 53).payload(24u),
       out().ipv6_fragment(0, true).udp(30001, 5353).payload(24u), 4000, 53, 30001, 5353, 56},
  };
}

/// What an error quotes: `count` bytes of the frame, the Ethernet header left out.
Bytes quote_of(const PacketBuilder& builder, std::size_t count) {
  const Bytes frame = builder.bytes();
  return {frame.begin() + sizeof(EthernetHeader), frame.begin() + sizeof(EthernetHeader) + count};
}

std::size_t ip_bytes(const PacketBuilder& builder) { return builder.bytes().size() - sizeof(EthernetHeader); }

/// A quoted checksum of which only a part is there cannot be updated: only the error's own checksum is right then.
bool cuts_checksum(const Row& row, std::uint8_t protocol, std::size_t count) {
  const std::size_t behind = count - row.least_quote;  // what follows the first 8 bytes of L4
  return (protocol == ip_protocol::kTcp && behind == 9) ||
         (protocol == ip_protocol::kSctp && behind >= 1 && behind <= 3);
}

Bytes error_v4(const char* from, const char* to, Bytes quote) {
  return eth().ipv4(from, to).icmp(3, 4, 0, 1400).payload(std::move(quote)).bytes();
}
Bytes error_v6(const char* from, const char* to, Bytes quote) {
  return eth().ipv6(from, to).icmpv6(2, 0, 0, 1400).payload(std::move(quote)).bytes();
}

TEST(TranslateIcmpError, Ipv4QuoteIsWhatWasSentHoweverLongItIs) {
  for (const Row& row : rows_v4()) {
    const std::uint8_t protocol = quote_of(row.sent, 20)[9];
    const auto line =
        line_of<FlowLineV4>({v4("10.244.1.7"), v4("192.0.2.1"), row.to_destination_port, row.to_source_port, protocol},
                            to_v4("10.96.0.10", row.destination_port, "10.244.0.3", row.source_port));
    for (std::size_t count = row.least_quote; count <= ip_bytes(row.sent); ++count) {
      TestPacket packet(error_v4("203.0.113.9", "192.0.2.1", quote_of(row.translated, count)), 0, 0);
      ASSERT_EQ(packet.parse(), Drop::kNone);
      ASSERT_EQ(quoted_tuple_v4(*packet), line.key.reversed()) << row.name << " of " << count;
      ASSERT_EQ(quoted_tuple_v6(*packet), std::nullopt);
      translate_icmp_error(*packet, line);
      EXPECT_TRUE(l4_checksum_is_right(packet->head(), packet->headers)) << row.name << " of " << count;
      if (cuts_checksum(row, protocol, count)) continue;
      const Bytes wanted = error_v4("203.0.113.9", "10.244.0.3", quote_of(row.sent, count));
      ASSERT_EQ(describe(packet.bytes()), describe(wanted)) << row.name << " of " << count;
      ASSERT_EQ(packet.bytes(), wanted) << row.name << " of " << count;
    }
  }
}

TEST(TranslateIcmpError, Ipv6QuoteIsWhatWasSentHoweverLongItIs) {
  for (const Row& row : rows_v6()) {
    for (std::size_t count = row.least_quote; count <= ip_bytes(row.sent); ++count) {
      TestPacket packet(error_v6("2001:db8:9::9", "2001:db8::1", quote_of(row.translated, count)), 0, 0);
      ASSERT_EQ(packet.parse(), Drop::kNone);
      const auto quoted = quoted_tuple_v6(*packet);
      ASSERT_TRUE(quoted) << row.name << " of " << count;
      const FlowKeyV6 wanted_tuple{v6("2001:db8::1"), v6("fd00:244:1::7"), row.to_source_port, row.to_destination_port,
                                   quoted->protocol};
      ASSERT_EQ(*quoted, wanted_tuple) << row.name;
      translate_icmp_error(*packet, line_of<FlowLineV6>(quoted->reversed(), to_v6("fd00:96::10", row.destination_port,
                                                                                  "fd00:244::3", row.source_port)));
      EXPECT_TRUE(l4_checksum_is_right(packet->head(), packet->headers)) << row.name << " of " << count;
      if (cuts_checksum(row, quoted->protocol, count)) continue;
      const Bytes wanted = error_v6("2001:db8:9::9", "fd00:244::3", quote_of(row.sent, count));
      ASSERT_EQ(describe(packet.bytes()), describe(wanted)) << row.name << " of " << count;
      ASSERT_EQ(packet.bytes(), wanted) << row.name << " of " << count;
    }
  }
}

TEST(TranslateIcmpError, FromTheBackendItselfComesFromTheFrontend) {
  const Row row = rows_v4()[1];
  const auto line = line_of<FlowLineV4>({v4("10.244.1.7"), v4("192.0.2.1"), 5353, 30001, ip_protocol::kUdp},
                                        to_v4("10.96.0.10", 53, "10.244.0.3", 4000));
  TestPacket packet(error_v4("10.244.1.7", "192.0.2.1", quote_of(row.translated, 28)));
  ASSERT_EQ(packet.parse(), Drop::kNone);
  translate_icmp_error(*packet, line);
  EXPECT_EQ(packet.bytes(), error_v4("10.96.0.10", "10.244.0.3", quote_of(row.sent, 28)));

  const Row row6 = rows_v6()[1];
  const auto line6 = line_of<FlowLineV6>({v6("fd00:244:1::7"), v6("2001:db8::1"), 5353, 30001, ip_protocol::kUdp},
                                         to_v6("fd00:96::10", 53, "fd00:244::3", 4000));
  TestPacket packet6(error_v6("fd00:244:1::7", "2001:db8::1", quote_of(row6.translated, 48)));
  ASSERT_EQ(packet6.parse(), Drop::kNone);
  translate_icmp_error(*packet6, line6);
  EXPECT_EQ(packet6.bytes(), error_v6("fd00:96::10", "fd00:244::3", quote_of(row6.sent, 48)));
}

TEST(TranslateIcmpError, DamageOfTheErrorStaysVisible) {
  const Row row = rows_v4()[0];
  const auto line = line_of<FlowLineV4>({v4("10.244.1.7"), v4("192.0.2.1"), 5353, 30001, ip_protocol::kTcp},
                                        to_v4("10.96.0.10", 53, "10.244.0.3", 4000));
  Bytes frame = error_v4("203.0.113.9", "192.0.2.1", quote_of(row.translated, 50));
  frame.back() ^= 1;
  TestPacket packet(frame);
  ASSERT_EQ(packet.parse(), Drop::kNone);
  translate_icmp_error(*packet, line);
  EXPECT_FALSE(l4_checksum_is_right(packet->head(), packet->headers));
}

TEST(TranslateIcmpError, WhatIsNoErrorIsLeftAlone) {
  const Row row = rows_v4()[0];
  const FlowLineV4 line = line_of<FlowLineV4>({v4("10.244.1.7"), v4("192.0.2.1"), 5353, 30001, ip_protocol::kTcp},
                                              to_v4("10.96.0.10", 53, "10.244.0.3", 4000));
  const PacketBuilder frames[] = {
      eth().ipv4("203.0.113.9", "192.0.2.1").icmp(8).payload(quote_of(row.translated, 40)),
      eth().ipv4("203.0.113.9", "192.0.2.1").icmp(5, 1).payload(quote_of(row.translated, 40)),
      eth().ipv4("203.0.113.9", "192.0.2.1").icmp(3, 1).payload(quote_of(row.translated, 27)),
      eth().ipv4("203.0.113.9", "192.0.2.1").tcp(1, 2),
  };
  for (const PacketBuilder& frame : frames) {
    TestPacket packet(frame.bytes(), 0, 0);
    ASSERT_EQ(packet.parse(), Drop::kNone);
    EXPECT_EQ(quoted_tuple_v4(*packet), std::nullopt);
    translate_icmp_error(*packet, line);
    EXPECT_EQ(packet.bytes(), frame.bytes());
  }
}

}  // namespace
}  // namespace millrace::tests
