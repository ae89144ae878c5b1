#include "nat/fragment_table.h"

#include <gtest/gtest.h>

#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;
using namespace nat;

constexpr std::uint16_t kId = 77;

PacketBuilder v4_fragment(std::uint32_t offset_bytes, std::uint16_t id = kId, std::string_view source = "10.0.0.1") {
  return eth().ipv4(source, "10.0.0.2").fragment(offset_bytes, true, id);
}
PacketBuilder v6_fragment(std::uint32_t offset_bytes, std::uint32_t id = kId) {
  return eth().ipv6("fd00::1", "fd00::2").ipv6_fragment(offset_bytes, true, id);
}
PacketBuilder v4_first(std::uint16_t id = kId, std::string_view source = "10.0.0.1") {
  return v4_fragment(0, id, source).udp(4000, 53).payload(24u);
}
PacketBuilder v4_later(std::uint16_t id = kId, std::uint8_t protocol = ip_protocol::kUdp,
                       std::string_view source = "10.0.0.1") {
  return v4_fragment(800, id, source).protocol(protocol).payload(24u);
}

TestPacket parsed(const PacketBuilder& builder) {
  TestPacket packet(builder.bytes(), 0, 0);
  EXPECT_EQ(packet.parse(), Drop::kNone);
  EXPECT_TRUE(packet->headers.is_fragment);
  return packet;
}

bool follow(FragmentTable& table, const PacketBuilder& builder, TickMs now = 0) {
  TestPacket packet = parsed(builder);
  return table.follow(*packet, now);
}

/// The header behind the fragment header is of this kind; it lies in the first fragment.
TestPacket parsed_v6_later(std::uint8_t kind, std::uint32_t id = kId) {
  Bytes frame = v6_fragment(800, id).payload(24u).bytes();
  frame[54] = kind;
  TestPacket packet(frame, 0, 0);
  EXPECT_EQ(packet.parse(), Drop::kNone);
  return packet;
}

TEST(FragmentTable, LaterFragmentsGetThePortsOfTheirFirst) {
  FragmentTable table(1);
  EXPECT_TRUE(follow(table, v4_first()));
  for (unsigned i = 0; i < 3; ++i) {
    TestPacket later = parsed(v4_later());
    EXPECT_TRUE(table.follow(*later, 10));
    EXPECT_EQ(later->headers.source_port, 4000);
    EXPECT_EQ(later->headers.destination_port, 53);
    EXPECT_FALSE(later->headers.has_l4);
  }
}

TEST(FragmentTable, OnlyFragmentsOfTheSamePacketFollow) {
  FragmentTable table(1);
  EXPECT_FALSE(follow(table, v4_later())) << "before its first";
  EXPECT_TRUE(follow(table, v4_first()));
  EXPECT_FALSE(follow(table, v4_later(kId + 1))) << "another identification";
  EXPECT_FALSE(follow(table, v4_later(kId, ip_protocol::kTcp))) << "another protocol";
  EXPECT_FALSE(follow(table, v4_later(kId, ip_protocol::kUdp, "10.0.0.9"))) << "another source";
  EXPECT_TRUE(follow(table, v4_later()));
}

TEST(FragmentTable, AnEntryLivesItsTimeAcrossTheWrapOfTheClock) {
  FragmentTable table(1);
  const TickMs begin = 0xffffff00;
  EXPECT_TRUE(follow(table, v4_first(), begin));
  EXPECT_TRUE(follow(table, v4_later(), begin + kFragmentLifetimeMs - 1));
  EXPECT_FALSE(follow(table, v4_later(), begin + kFragmentLifetimeMs));
  EXPECT_TRUE(follow(table, v4_first(), begin + kFragmentLifetimeMs)) << "the identification is used again";
  EXPECT_TRUE(follow(table, v4_later(), begin + kFragmentLifetimeMs + 1));
}

TEST(FragmentTable, Ipv6IsKeyedBy32BitsAndLearnsTheProtocol) {
  FragmentTable table(1);
  EXPECT_TRUE(follow(table, v6_fragment(0, 0xabcd0001).extension(60).udp(4000, 53).payload(24u)));
  TestPacket later = parsed_v6_later(60, 0xabcd0001);
  EXPECT_EQ(later->headers.l4_protocol, 60) << "all that is known without its first";
  EXPECT_TRUE(table.follow(*later, 0));
  EXPECT_EQ(later->headers.l4_protocol, ip_protocol::kUdp);
  EXPECT_EQ(later->headers.source_port, 4000);
  EXPECT_EQ(later->headers.destination_port, 53);
  TestPacket other = parsed_v6_later(60, 0x0001);
  EXPECT_FALSE(table.follow(*other, 0)) << "the lower 16 bits alone are not the identification";
}

TEST(FragmentTable, ProtocolsWithoutPortsGoOnInAnyOrder) {
  FragmentTable table(1);
  EXPECT_TRUE(follow(table, v4_later(kId, 47)));
  TestPacket esp = parsed_v6_later(50);
  EXPECT_TRUE(table.follow(*esp, 0));
  TestPacket udp = parsed_v6_later(ip_protocol::kUdp);
  EXPECT_FALSE(table.follow(*udp, 0));
}

TEST(FragmentTable, EchoKeepsItsIdentifier) {
  FragmentTable table(1);
  EXPECT_TRUE(follow(table, v4_fragment(0).icmp(8, 0, 321, 1).payload(24u)));
  TestPacket later = parsed(v4_later(kId, ip_protocol::kIcmp));
  EXPECT_TRUE(table.follow(*later, 0));
  EXPECT_EQ(later->headers.source_port, 321);
  EXPECT_EQ(later->headers.destination_port, 321);
}

TEST(FragmentTable, TheNewestStayWhenMoreComeThanThereIsRoomFor) {
  FragmentTable table(7);
  constexpr unsigned kPackets = 4 * kFragmentTableSize;
  for (unsigned i = 0; i < kPackets; ++i) follow(table, v4_first(static_cast<std::uint16_t>(i)), i / 16);
  const auto found = [&table](unsigned begin, unsigned end) {
    unsigned count = 0;
    for (unsigned i = begin; i < end; ++i) {
      count += follow(table, v4_later(static_cast<std::uint16_t>(i)), kPackets / 16) ? 1u : 0u;
    }
    return count;
  };
  // Sets fill unevenly (a Poisson of mean 1 for the last quarter of the table's size): all but a few are there.
  EXPECT_GT(found(kPackets - kFragmentTableSize / 4, kPackets), kFragmentTableSize / 4 * 99 / 100);
  EXPECT_LT(found(0, kFragmentTableSize), kFragmentTableSize / 50) << "the oldest have made room";
}

}  // namespace
}  // namespace millrace::tests
