// The reset a closed port answers with, RFC 9293 3.10.7.1: what comes -> what goes back.
#include "net/tcp_reset.h"

#include <gtest/gtest.h>

#include "net/checksum.h"
#include "net/ip_header.h"
#include "tests/net/packet_builder.h"

namespace millrace::net {
namespace {

using namespace tests;

constexpr std::uint8_t kSyn = TcpHeader::kSyn, kFin = TcpHeader::kFin, kRst = TcpHeader::kRst, kAck = TcpHeader::kAck;
constexpr std::string_view kGateway = "02:4d:52:00:00:01";

PacketBuilder from(bool is_v4) { return is_v4 ? eth().ipv4("10.0.0.1", "10.0.0.2") : eth().ipv6("fd00::1", "fd00::2"); }

TEST(TcpReset, TakesItsNumbersFromTheSegment) {
  const struct {
    const char* name;
    std::uint8_t flags;
    std::uint32_t sequence, ack;
    std::size_t payload_bytes;
    std::uint8_t reset_flags;
    std::uint32_t reset_sequence, reset_ack;
  } rows[] = {
      {"a SYN is acknowledged", kSyn, 1000, 0, 0, kRst | kAck, 0, 1001},
      {"a SYN with data", kSyn, 1000, 0, 10, kRst | kAck, 0, 1011},
      {"a FIN without acknowledgement", kFin, 5, 0, 3, kRst | kAck, 0, 9},
      {"numbers wrap", kSyn, 0xffffffff, 0, 0, kRst | kAck, 0, 0},
      {"an acknowledgement says the number", kAck, 1000, 77, 100, kRst, 77, 0},
      {"SYN with ACK as well", kSyn | kAck, 1000, 78, 0, kRst, 78, 0},
  };
  for (const auto& row : rows) {
    for (const bool is_v4 : {true, false}) {
      SCOPED_TRACE(row.name);
      TestPacket packet(from(is_v4)
                            .tcp(1234, 80, row.flags)
                            .sequence(row.sequence, row.ack)
                            .options({1, 1, 1, 1})
                            .payload(row.payload_bytes)
                            .bytes());
      ASSERT_EQ(packet.parse(), Drop::kNone);
      ASSERT_TRUE(make_tcp_reset(*packet, mac(kGateway)));
      const Bytes sent = packet.bytes();
      TestPacket parsed(sent);
      ASSERT_EQ(parsed.parse(), Drop::kNone) << describe(sent);
      const auto& tcp = view<TcpHeader>(static_cast<const std::uint8_t*>(parsed->data) + parsed->headers.l4_offset);
      EXPECT_EQ(tcp.flags, row.reset_flags);
      EXPECT_EQ(tcp.sequence.host(), row.reset_sequence);
      EXPECT_EQ(tcp.acknowledgment.host(), row.reset_ack);
      EXPECT_EQ(tcp.window.host(), 0);
      EXPECT_EQ(sent.size(), 14u + (is_v4 ? 20u : 40u) + 20u) << "no options, no payload";
      EXPECT_EQ(parsed->headers.source_port, 80);
      EXPECT_EQ(parsed->headers.destination_port, 1234);
      EXPECT_TRUE(l4_checksum_is_right(parsed->head(), parsed->headers)) << describe(sent);
      EXPECT_EQ(ethernet(*parsed).destination, mac(kMacA));
      EXPECT_EQ(ethernet(*parsed).source, mac(kGateway));
      if (is_v4) {
        EXPECT_TRUE(ipv4_checksum_is_right(ipv4(*parsed)));
        EXPECT_EQ(ipv4(*parsed).source, v4("10.0.0.2"));
        EXPECT_EQ(ipv4(*parsed).destination, v4("10.0.0.1"));
      } else {
        EXPECT_EQ(ipv6(*parsed).source, v6("fd00::2"));
        EXPECT_EQ(ipv6(*parsed).destination, v6("fd00::1"));
      }
    }
  }
}

TEST(TcpReset, NothingIsChangedWhereNoneIsDue) {
  const struct {
    const char* name;
    Bytes frame;
  } rows[] = {
      {"a reset", from(true).tcp(1, 2, kRst).bytes()},
      {"a reset with ACK", from(false).tcp(1, 2, kRst | kAck).bytes()},
      {"UDP", from(true).udp(1, 2).bytes()},
      {"a later fragment", eth().ipv4("10.0.0.1", "10.0.0.2").protocol(6).fragment(80, false).payload(40).bytes()},
  };
  for (const auto& row : rows) {
    TestPacket packet(row.frame);
    ASSERT_EQ(packet.parse(), Drop::kNone) << row.name;
    EXPECT_FALSE(make_tcp_reset(*packet, mac(kGateway))) << row.name;
    EXPECT_EQ(packet.bytes(), row.frame) << row.name;
  }
}

}  // namespace
}  // namespace millrace::net
