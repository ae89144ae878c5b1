#include "net/quote.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;

Bytes ip_of(const PacketBuilder& builder) {
  const Bytes frame = builder.bytes();
  return {frame.begin() + sizeof(EthernetHeader), frame.end()};
}

PacketBuilder error4(Bytes quote, std::uint8_t type = icmp_type::kUnreachable) {
  return eth().ipv4("192.0.2.9", "192.0.2.1").icmp(type, 1).payload(std::move(quote));
}
PacketBuilder error6(Bytes quote, std::uint8_t type = icmpv6_type::kUnreachable) {
  return eth().ipv6("fd00::9", "fd00::1").icmpv6(type, 1).payload(std::move(quote));
}
PacketBuilder sent4() { return eth().ipv4("10.0.0.1", "10.0.0.2"); }
PacketBuilder sent6() { return eth().ipv6("fd00::1", "fd00::2"); }

struct Row {
  std::string name;
  PacketBuilder error;
  bool is_quote;
  bool has_l4 = false;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint16_t l4_offset = 0;
};

std::vector<Row> rows() {
  const Bytes tcp = ip_of(sent4().tcp(1000, 80).payload(40u));
  const Bytes tcp6 = ip_of(sent6().tcp(1000, 80).payload(40u));
  Bytes version = tcp;
  version[0] = 0x55;
  Bytes short_header = tcp;
  short_header[0] = 0x44;
  return {
      {"TCP", error4(tcp), true, true, 1000, 80, 62},
      {"TCP, 8 bytes of it", error4(cut(tcp, 28)), true, true, 1000, 80, 62},
      {"TCP, 7 bytes of it", error4(cut(tcp, 27)), false},
      {"cut inside the IP header", error4(cut(tcp, 19)), false},
      {"nothing quoted", error4({}), false},
      {"source quench", error4(tcp, icmp_type::kSourceQuench), true, true, 1000, 80, 62},
      {"time exceeded", error4(tcp, icmp_type::kTimeExceeded), true, true, 1000, 80, 62},
      {"parameter problem", error4(tcp, icmp_type::kParameterProblem), true, true, 1000, 80, 62},
      {"a redirect", error4(tcp, icmp_type::kRedirect), false},
      {"an echo reply", error4(tcp, icmp_type::kEchoReply), false},
      {"wrong version", error4(version), false},
      {"header length below 20", error4(short_header), false},
      {"IPv6 inside ICMP", error4(tcp6), false},
      {"echo request", error4(ip_of(sent4().icmp(8, 0, 7, 1))), true, true, 7, 7, 62},
      {"timestamp: no identifier", error4(ip_of(sent4().icmp(13, 0, 7, 1))), true, true, 0, 0, 62},
      {"behind options", error4(ip_of(sent4().options({148, 4, 0, 0}).udp(5, 6))), true, true, 5, 6, 66},
      {"unknown protocol", error4(ip_of(sent4().protocol(47).payload(8u))), true, false, 0, 0, 62},
      {"first fragment", error4(ip_of(sent4().fragment(0, true).udp(5, 6).payload(8u))), true, true, 5, 6, 62},
      {"later fragment", error4(ip_of(sent4().fragment(8, true).protocol(17).payload(8u))), false},
      {"TCP over IPv6", error6(tcp6), true, true, 1000, 80, 102},
      {"TCP over IPv6, 7 bytes of it", error6(cut(tcp6, 47)), false},
      {"too big", error6(tcp6, icmpv6_type::kPacketTooBig), true, true, 1000, 80, 102},
      {"IPv6 cut inside its header", error6(cut(tcp6, 39)), false},
      {"ICMPv6 echo", error6(ip_of(sent6().icmpv6(129, 0, 7, 1))), true, true, 7, 7, 102},
      {"ICMPv6 neighbour solicitation", error6(tcp6, 135), false},
      {"behind extension headers", error6(ip_of(sent6().extension(0).extension(60, 16).udp(5, 6))), true, true, 5, 6,
       126},
      {"cut inside an extension header", error6(cut(ip_of(sent6().extension(0, 16).udp(5, 6)), 50)), false},
      {"IPv6 first fragment", error6(ip_of(sent6().ipv6_fragment(0, true).udp(5, 6).payload(8u))), true, true, 5, 6,
       110},
      {"IPv6 later fragment", error6(ip_of(sent6().ipv6_fragment(8, true).payload(8u))), false},
  };
}

TEST(Quote, Rows) {
  for (const Row& row : rows()) {
    TestPacket packet(row.error.bytes(), 0, 0);
    if (packet.parse() != Drop::kNone) {
      ADD_FAILURE() << row.name;
      continue;
    }
    const auto quote = parse_quote(*packet);
    ASSERT_EQ(quote.has_value(), row.is_quote) << row.name;
    if (!quote) continue;
    EXPECT_EQ(quote->has_l4, row.has_l4) << row.name;
    EXPECT_EQ(quote->source_port, row.source_port) << row.name;
    EXPECT_EQ(quote->destination_port, row.destination_port) << row.name;
    EXPECT_EQ(quote->l4_offset, row.l4_offset) << row.name;
  }
}

TEST(Quote, AnyBytesAreReadWithinTheirBounds) {
  std::mt19937 random(5);
  std::vector<Bytes> good;
  for (const Row& row : rows()) good.push_back(row.error.bytes());
  unsigned quotes = 0;
  for (unsigned round = 0; round < 50'000; ++round) {
    Bytes frame = good[round % good.size()];
    for (unsigned changes = static_cast<unsigned>(random() % 4); changes > 0; --changes) {
      frame[34 + random() % (frame.size() - 34)] = static_cast<std::uint8_t>(random());
    }
    TestPacket packet(frame, 0, 0);
    if (packet.parse() != Drop::kNone) continue;
    const auto quote = parse_quote(*packet);
    if (!quote) continue;
    ++quotes;
    EXPECT_LE(quote->l4_offset + (quote->has_l4 ? 8u : 0u), quote_end(*packet));
    EXPECT_LE(quote_end(*packet), frame.size());
  }
  EXPECT_GT(quotes, 10'000u);
}

}  // namespace
}  // namespace millrace::tests
