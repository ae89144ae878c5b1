// What forwarding changes: MACs, TTL and hop limit.

#include "net/ip_header.h"

#include <gtest/gtest.h>

#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;

TEST(DecrementTtl, IsTheSameAsWritingTheTtlAndAFullChecksum) {
  for (unsigned ttl = 2; ttl <= 255; ++ttl) {
    const auto with_ttl = [](unsigned value, std::uint16_t id) {
      return eth()
          .ipv4("10.0.0.1", "10.0.0.2")
          .ttl(static_cast<std::uint8_t>(value))
          .fragment(0, false, id)
          .udp(1, 2)
          .bytes();
    };
    for (const auto id : std::initializer_list<std::uint16_t>{0, 1, 0x1234, 0xffff}) {
      TestPacket packet(with_ttl(ttl, id));
      ASSERT_EQ(packet.parse(), Drop::kNone);
      ASSERT_TRUE(decrement_ttl(*packet));
      ASSERT_EQ(describe(packet.bytes()), describe(with_ttl(ttl - 1, id))) << ttl;
      ASSERT_EQ(packet.bytes(), with_ttl(ttl - 1, id)) << ttl;
      ASSERT_EQ(packet->headers.ttl, ttl - 1);
    }
  }
}

TEST(DecrementTtl, EndsAtOneAndZeroAndChangesNothing) {
  for (const auto ttl : std::initializer_list<std::uint8_t>{0, 1}) {
    for (const Bytes& frame : {eth().ipv4("10.0.0.1", "10.0.0.2").ttl(ttl).udp(1, 2).bytes(),
                               eth().ipv6("fd00::1", "fd00::2").ttl(ttl).udp(1, 2).bytes()}) {
      TestPacket packet(frame);
      ASSERT_EQ(packet.parse(), Drop::kNone);
      EXPECT_FALSE(decrement_ttl(*packet));
      EXPECT_EQ(packet.bytes(), frame);
    }
  }
}

TEST(DecrementTtl, HopLimitBehindAVlanTag) {
  TestPacket packet(eth().vlan(9).ipv6("fd00::1", "fd00::2").ttl(64).udp(1, 2).bytes());
  ASSERT_EQ(packet.parse(), Drop::kNone);
  EXPECT_TRUE(decrement_ttl(*packet));
  EXPECT_EQ(packet.bytes(), eth().vlan(9).ipv6("fd00::1", "fd00::2").ttl(63).udp(1, 2).bytes());
}

TEST(SetMacs, ChangesOnlyThose) {
  TestPacket packet(eth("02:00:00:00:00:01", "02:00:00:00:00:02").ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).bytes());
  set_macs(*packet, mac("02:00:00:00:00:03"), mac("02:00:00:00:00:04"));
  EXPECT_EQ(packet.bytes(),
            eth("02:00:00:00:00:04", "02:00:00:00:00:03").ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).bytes());
}

}  // namespace
}  // namespace millrace::tests
