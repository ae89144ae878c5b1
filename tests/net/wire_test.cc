// Reading wire structs: bounds, and fields against bytes written by hand.

#include "net/wire.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace millrace::net {
namespace {

TEST(Wire, AtChecksBoundsAlsoWhereSizesWrap) {
  std::vector<std::uint8_t> bytes(20);
  const std::span<const std::uint8_t> span = bytes;
  EXPECT_NE(at<Ipv4Header>(span, 0), nullptr);
  EXPECT_EQ(at<Ipv4Header>(span, 1), nullptr);
  EXPECT_EQ(at<UdpHeader>(span, 13), nullptr);
  EXPECT_NE(at<UdpHeader>(span, 12), nullptr);
  EXPECT_EQ(at<UdpHeader>(span, 20), nullptr);
  EXPECT_EQ(at<UdpHeader>(span, 21), nullptr);
  EXPECT_EQ(at<UdpHeader>(span, std::numeric_limits<std::size_t>::max()), nullptr);
  EXPECT_EQ(at<UdpHeader>(span, std::numeric_limits<std::size_t>::max() - 3), nullptr);
  EXPECT_EQ(at<UdpHeader>(std::span<const std::uint8_t>(), 0), nullptr);
  EXPECT_FALSE(read<UdpHeader>(span, 13));
  EXPECT_TRUE(read<UdpHeader>(span, 12));
}

TEST(Wire, ReadsAtAnyAddress) {
  std::vector<std::uint8_t> bytes(9 + sizeof(UdpHeader));
  for (std::size_t offset = 0; offset < 9; ++offset) {
    at<UdpHeader>(std::span(bytes), offset)->length = Be16(0x1234);
    EXPECT_EQ(bytes[offset + 4], 0x12);
    EXPECT_EQ(bytes[offset + 5], 0x34);
    EXPECT_EQ(read<UdpHeader>(bytes, offset)->length.host(), 0x1234);
  }
}

TEST(Wire, FieldsLieWhereTheStandardsSay) {
  std::vector<std::uint8_t> bytes(64);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
  const std::span<const std::uint8_t> span = bytes;
  EXPECT_EQ(read<EthernetHeader>(span, 0)->type.host(), 0x0c0d);
  const std::vector<std::uint8_t> tag = {0xfa, 0xbc, 0x08, 0x00};  // priority 7, drop eligible, id 0xabc
  EXPECT_EQ(read<VlanTag>(tag, 0)->id(), 0xabc);
  EXPECT_EQ(read<ArpPacket>(span, 0)->operation.host(), 0x0607);
  EXPECT_EQ(read<ArpPacket>(span, 0)->sender_ip.value.host(), 0x0e0f1011u);
  EXPECT_EQ(read<ArpPacket>(span, 0)->target_ip.value.host(), 0x18191a1bu);
  EXPECT_EQ(read<Ipv4Header>(span, 0)->checksum.host(), 0x0a0b);
  EXPECT_EQ(read<Ipv4Header>(span, 0)->destination.value.host(), 0x10111213u);
  EXPECT_EQ(read<Ipv6Header>(span, 0)->hop_limit, 7);
  EXPECT_EQ(read<Ipv6Header>(span, 0)->destination.bytes[0], 24);
  EXPECT_EQ(read<TcpHeader>(span, 0)->flags, 13);
  EXPECT_EQ(read<TcpHeader>(span, 0)->checksum.host(), 0x1011);
  EXPECT_EQ(read<SctpHeader>(span, 0)->checksum.host(), 0x08090a0bu);
  EXPECT_EQ(read<IcmpHeader>(span, 0)->sequence.host(), 0x0607);
  EXPECT_EQ(read<NeighborMessage>(span, 0)->target.bytes[0], 8);
  EXPECT_EQ(read<LinkLayerOption>(span, 0)->mac.bytes[0], 2);
}

TEST(Wire, FlagsAndOffsets) {
  Ipv4Header ip{};
  ip.version_ihl = 0x4f;
  ip.flags_offset = Be16(0x4000 | 0x2000 | 185);
  EXPECT_EQ(ip.version(), 4);
  EXPECT_EQ(ip.header_bytes(), 60);
  EXPECT_TRUE(ip.dont_fragment());
  EXPECT_TRUE(ip.more_fragments());
  EXPECT_EQ(ip.offset_bytes(), 1480u);
  Ipv6FragmentHeader fragment{};
  fragment.offset_flags = Be16(1480 | 1);
  EXPECT_EQ(fragment.offset_bytes(), 1480u);
  EXPECT_TRUE(fragment.more_fragments());
  TcpHeader tcp{};
  tcp.data_offset = 0xf1;
  EXPECT_EQ(tcp.header_bytes(), 60);
}

}  // namespace
}  // namespace millrace::net
