// IPv4 fragmentation: whatever the size and MTU, the fragments fit, verify, and make the original again.

#include "net/fragment.h"

#include <gtest/gtest.h>

#include <map>

#include "net/checksum.h"
#include "net/ip_header.h"
#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;

PacketBuilder ip() { return eth().ipv4("10.0.0.1", "10.0.0.2"); }

struct Fragments {
  std::vector<TestPacket> packets;
  unsigned count = 0;
};

Fragments fragment(const Packet& packet, std::uint32_t mtu_bytes) {
  Fragments made;
  std::vector<Packet*> out;
  for (unsigned i = 0; i < count_ipv4_fragments(packet, mtu_bytes); ++i) {
    made.packets.push_back(TestPacket::with_capacity(22 + mtu_bytes, 0));
    out.push_back(made.packets.back().get());
  }
  made.count = fragment_ipv4(packet, mtu_bytes, out);
  return made;
}

/// The payload the fragments make together, as a receiver puts it: by offset, the end known from the one without MF.
Bytes reassemble(std::vector<TestPacket>& packets) {
  Bytes payload;
  std::map<std::uint32_t, Bytes> parts;
  std::uint32_t end = 0;
  for (TestPacket& packet : packets) {
    const Ipv4Header& header = ipv4(static_cast<const Packet&>(*packet));
    const Bytes bytes = packet.bytes();
    const std::uint32_t begin = packet->headers.l3_offset + header.header_bytes();
    parts[header.offset_bytes()] = Bytes(bytes.begin() + begin, bytes.end());
    if (!header.more_fragments()) end = header.offset_bytes() + static_cast<std::uint32_t>(bytes.size()) - begin;
  }
  for (const auto& [offset, part] : parts) {
    EXPECT_EQ(offset, payload.size()) << "a gap or an overlap";
    payload.insert(payload.end(), part.begin(), part.end());
  }
  EXPECT_EQ(payload.size(), end);
  return payload;
}

TEST(Fragment, FragmentsFitVerifyAndMakeTheOriginalAgain) {
  for (const std::uint32_t mtu : {68u, 100u, 576u, 1280u, 1499u, 1500u}) {
    for (const std::size_t length : {0u, 1u, 40u, 41u, 48u, 500u, 1472u, 1473u, 1480u, 3000u, 9000u}) {
      const Bytes frame = ip().udp(1000, 53).payload(length).bytes();
      TestPacket packet(frame);
      ASSERT_EQ(packet.parse(), Drop::kNone);
      Fragments made = fragment(*packet, mtu);
      ASSERT_GT(made.count, 0u);
      ASSERT_EQ(made.count, made.packets.size());
      for (TestPacket& part : made.packets) {
        EXPECT_LE(part->head_bytes, 14 + mtu);
        EXPECT_EQ(drop_name(part.parse()), "none") << describe(part.bytes());
        EXPECT_TRUE(ipv4_checksum_is_right(ipv4(*part)));
      }
      EXPECT_EQ(reassemble(made.packets), Bytes(frame.begin() + 34, frame.end())) << mtu << " " << length;
      EXPECT_EQ(packet.bytes(), frame) << "the original is not touched";
    }
  }
}

TEST(Fragment, UsesNoMoreFragmentsThanNeeded) {
  const auto count = [](std::size_t payload_bytes, std::uint32_t mtu) {
    TestPacket packet(ip().protocol(253).payload(payload_bytes).bytes());
    EXPECT_EQ(packet.parse(), Drop::kNone);
    return count_ipv4_fragments(*packet, mtu);
  };
  EXPECT_EQ(count(1480, 1500), 1u);
  EXPECT_EQ(count(1481, 1500), 2u);
  EXPECT_EQ(count(2960, 1500), 2u);
  EXPECT_EQ(count(2961, 1500), 3u);
  EXPECT_EQ(count(1481, 1499), 2u);
  EXPECT_EQ(count(2945, 1499), 3u);  // 1472 bytes each: a multiple of 8
}

TEST(Fragment, OptionsWithTheCopyBitGoIntoEveryFragment) {
  // Timestamp (68, not copied), no-operation, router alert (148, copied).
  const Bytes options = {68, 8, 5, 0, 0, 0, 0, 0, 1, 148, 4, 0, 7};
  const Bytes frame = ip().options(options).udp(1, 2).payload(2000u).bytes();
  TestPacket packet(frame);
  ASSERT_EQ(packet.parse(), Drop::kNone);
  Fragments made = fragment(*packet, 576);
  ASSERT_EQ(made.count, 4u);
  for (unsigned i = 0; i < made.count; ++i) {
    const Ipv4Header& header = ipv4(*made.packets[i]);
    const std::uint8_t* begin = made.packets[i]->data + 34;
    if (i == 0) {
      EXPECT_EQ(header.header_bytes(), 36);
      EXPECT_EQ(Bytes(begin, begin + 13), options);
    } else {
      EXPECT_EQ(header.header_bytes(), 24);
      EXPECT_EQ(Bytes(begin, begin + 4), (Bytes{148, 4, 0, 7}));
    }
    EXPECT_TRUE(ipv4_checksum_is_right(header));
  }
  EXPECT_EQ(reassemble(made.packets), Bytes(frame.begin() + 50, frame.end()));
}

TEST(Fragment, AFragmentsFragmentsKeepItsPlace) {
  for (const bool more : {true, false}) {
    const Bytes frame = ip().fragment(2960, more, 0x4242).protocol(17).payload(1480u).bytes();
    TestPacket packet(frame);
    ASSERT_EQ(packet.parse(), Drop::kNone);
    Fragments made = fragment(*packet, 600);
    ASSERT_EQ(made.count, 3u);
    std::uint32_t offset = 2960;
    for (unsigned i = 0; i < made.count; ++i) {
      const Ipv4Header& header = ipv4(*made.packets[i]);
      EXPECT_EQ(header.offset_bytes(), offset);
      EXPECT_EQ(header.more_fragments(), more || i + 1 < made.count);
      EXPECT_EQ(header.id.host(), 0x4242);
      offset += header.total_length.host() - 20u;
    }
    EXPECT_EQ(offset, 2960u + 1480);
  }
}

TEST(Fragment, VlanTagsPortsAndNoPadding) {
  Bytes frame = eth().vlan(7).ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).payload(100u).bytes();
  frame.resize(frame.size() + 30);
  TestPacket packet(frame);
  ASSERT_EQ(packet.parse(), Drop::kNone);
  packet->in_port = 3;
  packet->out_port = 4;
  Fragments made = fragment(*packet, 76);
  ASSERT_EQ(made.count, 2u);
  for (TestPacket& part : made.packets) {
    EXPECT_EQ(part->headers.vlan_id, 7);
    EXPECT_EQ(part->in_port, 3);
    EXPECT_EQ(part->out_port, 4);
    EXPECT_EQ(part->head_bytes, 18 + part->headers.l3_length);
  }
}

TEST(Fragment, RefusesWhatItMayNotCut) {
  const auto count = [](const Bytes& frame, std::uint32_t mtu, auto change) {
    TestPacket packet(frame);
    EXPECT_EQ(packet.parse(), Drop::kNone);
    change(*packet);
    return count_ipv4_fragments(*packet, mtu);
  };
  const auto as_it_is = [](Packet&) {};
  const Bytes large = ip().udp(1, 2).payload(2000u).bytes();
  EXPECT_EQ(count(large, 1500, as_it_is), 2u);
  EXPECT_EQ(count(ip().dont_fragment().udp(1, 2).payload(2000u).bytes(), 1500, as_it_is), 0u);
  EXPECT_EQ(count(ip().dont_fragment().udp(1, 2).payload(200u).bytes(), 1500, as_it_is), 1u) << "it fits";
  EXPECT_EQ(count(large, 1500, [](Packet& packet) { packet.length_bytes += 1; }), 0u) << "more segments";
  EXPECT_EQ(count(large, 1500, [](Packet& packet) { packet.offload.checksum_partial = true; }), 0u);
  EXPECT_EQ(count(large, 27, as_it_is), 0u) << "no room for 8 bytes";
  EXPECT_EQ(count(large, 0, as_it_is), 0u);
  EXPECT_EQ(count(large, 28, as_it_is), 251u);
  EXPECT_EQ(count(eth().ipv6("fd00::1", "fd00::2").udp(1, 2).payload(2000u).bytes(), 1500, as_it_is), 0u);
}

TEST(Fragment, RefusesWhenThereIsTooLittleRoom) {
  TestPacket packet(ip().udp(1, 2).payload(2000u).bytes());
  ASSERT_EQ(packet.parse(), Drop::kNone);
  TestPacket wide = TestPacket::with_capacity(2000), narrow = TestPacket::with_capacity(500);
  Packet* one[] = {wide.get()};
  EXPECT_EQ(fragment_ipv4(*packet, 1500, one), 0u) << "needs two";
  Packet* two[] = {wide.get(), narrow.get()};
  EXPECT_EQ(fragment_ipv4(*packet, 1500, two), 0u) << "the second is too small";
}

TEST(Fragment, RefusesToCutATcpHeader) {
  TestPacket packet(ip().tcp(1, 2).payload(200u).bytes());
  ASSERT_EQ(packet.parse(), Drop::kNone);
  EXPECT_EQ(fragment(*packet, 36).count, 0u) << "16 bytes of TCP: receivers drop it (RFC 1858)";
  EXPECT_EQ(fragment(*packet, 44).count, 10u);
}

TEST(FragmentId, IsFoundInBothFamiliesBehindWhateverHeaders) {
  const auto ip6 = [] { return eth().ipv6("fd00::1", "fd00::2"); };
  const struct {
    const char* name;
    PacketBuilder packet;
    std::uint32_t id;
  } rows[] = {
      {"IPv4", ip().fragment(0, true, 0xabcd).udp(1, 2).payload(24u), 0xabcd},
      {"IPv4, later", ip().fragment(800, false, 0xabcd).payload(24u), 0xabcd},
      {"IPv6", ip6().ipv6_fragment(0, true, 0xdeadbeef).udp(1, 2).payload(24u), 0xdeadbeef},
      {"IPv6, later", ip6().ipv6_fragment(800, false, 0xdeadbeef).payload(24u), 0xdeadbeef},
      {"IPv6 between other headers",
       ip6().extension(0, 16).extension(51, 24).ipv6_fragment(0, true, 7).extension(60).udp(1, 2).payload(24u), 7},
      {"IPv6 behind a VLAN tag", eth().vlan(5).ipv6("fd00::1", "fd00::2").ipv6_fragment(8, true, 9).payload(24u), 9},
  };
  for (const auto& row : rows) {
    TestPacket packet(row.packet.bytes(), 0, 0);
    ASSERT_EQ(packet.parse(), Drop::kNone) << row.name;
    ASSERT_TRUE(packet->headers.is_fragment) << row.name;
    EXPECT_EQ(fragment_id(*packet), row.id) << row.name;
  }
}

}  // namespace
}  // namespace millrace::tests
