// What a guest says of a packet's checksum and segments, and what its headers say.
#include "net/offload.h"

#include <gtest/gtest.h>

#include "tests/net/test_chain.h"

namespace millrace::net {
namespace {

using namespace tests;

constexpr Offload kPartial{.checksum_partial = true};
constexpr Offload cut_into(std::uint16_t bytes) { return {.checksum_partial = true, .gso_size_bytes = bytes}; }
PacketBuilder ip4() { return eth().ipv4("10.0.0.1", "10.0.0.2"); }
PacketBuilder ip6() { return eth().ipv6("fd00::1", "fd00::2"); }
PacketBuilder tcp4(std::uint8_t flags = TcpHeader::kAck) { return ip4().tcp(1, 2, flags).partial_checksum(); }

TEST(CheckOffload, TakesWhatTheHeadersAllow) {
  struct Row {
    const char* name;
    PacketBuilder packet;
    Offload offload;
    std::size_t head_bytes;
    Drop drop;
    unsigned gso_size_bytes = 0;  // afterwards
  };
  constexpr std::size_t kWhole = 100'000;
  const Row rows[] = {
      {"nothing said", ip4().tcp(1, 2).payload(9000u), {}, kWhole, Drop::kNone},
      {"partial TCP", tcp4().payload(9u), kPartial, kWhole, Drop::kNone},
      {"partial UDP", ip6().udp(1, 2).partial_checksum().payload(9u), kPartial, kWhole, Drop::kNone},
      {"partial SCTP", ip4().sctp(1, 2).partial_checksum().payload(16u), kPartial, kWhole, Drop::kNone},
      {"partial ICMP", ip4().icmp(8), kPartial, kWhole, Drop::kOffloadBad},
      {"partial, no L4 that is known", ip4().protocol(47).payload(20u), kPartial, kWhole, Drop::kOffloadBad},
      {"partial ARP", eth().arp(1, kMacA, "10.0.0.1", kMacB, "10.0.0.2"), kPartial, kWhole, Drop::kOffloadBad},
      {"partial, a fragment", ip4().fragment(0, true).udp(1, 2).payload(16u), kPartial, kWhole, Drop::kOffloadBad},
      {"partial, a later fragment", ip4().fragment(64, false).payload(16u), kPartial, kWhole, Drop::kOffloadBad},
      {"TCP to be cut", tcp4().payload(3000u), cut_into(1448), 500, Drop::kNone, 1448},
      {"TCP to be cut, in one segment", tcp4().payload(3000u), cut_into(1448), kWhole, Drop::kNone, 1448},
      {"TCP to be cut, IPv6", ip6().tcp(1, 2).partial_checksum().payload(60'000u), cut_into(1440), 500, Drop::kNone,
       1440},
      {"fits into one piece", tcp4().payload(1448u), cut_into(1448), kWhole, Drop::kNone, 0},
      {"no payload", tcp4(), cut_into(1448), kWhole, Drop::kNone, 0},
      {"the smallest pieces", tcp4().payload(64'000u), cut_into(32), 500, Drop::kNone, 32},
      {"smaller pieces", tcp4().payload(64'000u), cut_into(31), 500, Drop::kOffloadBad},
      {"pieces of a byte", tcp4().payload(64'000u), cut_into(1), 500, Drop::kOffloadBad},
      {"into pieces of nothing", tcp4().payload(3000u), cut_into(0), 500, Drop::kOffloadBad},
      {"several segments, not to be cut", ip4().tcp(1, 2).payload(3000u), {}, 500, Drop::kOffloadBad},
      {"several segments that fit into one piece", tcp4().payload(3000u), cut_into(3000), 500, Drop::kOffloadBad},
      {"to be cut with a complete checksum",
       ip4().tcp(1, 2).payload(3000u),
       {.gso_size_bytes = 1448},
       500,
       Drop::kOffloadBad},
      {"UDP to be cut", ip4().udp(1, 2).partial_checksum().payload(3000u), cut_into(1448), 500, Drop::kOffloadBad},
      {"SYN to be cut", tcp4(TcpHeader::kSyn).payload(3000u), cut_into(1448), 500, Drop::kOffloadBad},
      {"RST to be cut", tcp4(TcpHeader::kRst | TcpHeader::kAck).payload(3000u), cut_into(1448), 500, Drop::kOffloadBad},
      {"a fragment to be cut", ip4().fragment(0, true).tcp(1, 2).payload(3004u), cut_into(1448), 500,
       Drop::kOffloadBad},
  };
  for (const Row& row : rows) {
    TestChain packet(row.packet.bytes(), row.head_bytes, 1700, row.offload);
    ASSERT_EQ(packet.parse(), Drop::kNone) << row.name;
    EXPECT_EQ(check_offload(*packet), row.drop) << row.name;
    if (row.drop == Drop::kNone) { EXPECT_EQ(packet->offload.gso_size_bytes, row.gso_size_bytes) << row.name; }
  }
}

TEST(LongestL3Bytes, IsThatOfOnePiece) {
  struct Row {
    PacketBuilder packet;
    Offload offload;
    std::uint32_t bytes;
  };
  for (const Row& row : {Row{tcp4().payload(3000u), kPartial, 3040}, Row{tcp4().payload(3000u), cut_into(1460), 1500},
                         Row{tcp4().options({1, 1, 1, 1}).payload(3000u), cut_into(1460), 1504},
                         Row{ip6().extension(60, 8).tcp(1, 2).payload(3000u), cut_into(1000), 1068}}) {
    TestChain packet(row.packet.bytes(), 400, 400, row.offload);
    ASSERT_EQ(packet.parse(), Drop::kNone);
    EXPECT_EQ(longest_l3_bytes(*packet), row.bytes);
  }
}

TEST(ChecksumMayBeLeft, WhereTheOtherSideFindsTheSame) {
  struct Row {
    const char* name;
    Bytes frame;
    bool may;
  };
  const auto padded = [](Bytes frame) {
    frame.resize(frame.size() + 3);
    return frame;
  };
  const auto short_udp = [] { return patch(ip4().udp(1, 2).partial_checksum().payload(20u).bytes(), 14 + 20 + 5, 18); };
  for (const Row& row :
       {Row{"TCP", tcp4().payload(9u).bytes(), true},
        Row{"UDP over IPv6", ip6().udp(1, 2).partial_checksum().payload(9u).bytes(), true},
        Row{"IPv4 options", ip4().options({1, 1, 1, 0}).udp(1, 2).partial_checksum().bytes(), true},
        Row{"SCTP, a CRC", ip4().sctp(1, 2).partial_checksum().payload(16u).bytes(), false},
        Row{"IPv6 extension header", ip6().extension(60).tcp(1, 2).partial_checksum().bytes(), false},
        Row{"a padded frame", padded(tcp4().bytes()), false}, Row{"UDP shorter than its packet", short_udp(), false},
        Row{"ICMP", ip4().icmp(8).bytes(), false}}) {
    TestPacket packet(row.frame);
    ASSERT_EQ(packet.parse(), Drop::kNone) << row.name;
    EXPECT_EQ(checksum_may_be_left(*packet), row.may) << row.name;
  }
}

}  // namespace
}  // namespace millrace::net
