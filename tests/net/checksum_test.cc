// Checksums against plain definitions of them, on random data, and against published values.

#include "net/checksum.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;

/// RFC 1071 section 1 as it is written: big-endian words, one carry at a time.
std::uint16_t plain_checksum(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    const unsigned low = i + 1 < bytes.size() ? bytes[i + 1] : 0;
    sum += bytes[i] * 256u + low;
    if (sum > 0xffff) sum -= 0xffff;
  }
  return static_cast<std::uint16_t>(~sum);
}

Bytes random_bytes(std::mt19937& random, std::size_t count) {
  Bytes bytes(count);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

TEST(Checksum, IsTheOneOfRfc1071AtEveryLengthAndAlignment) {
  std::mt19937 random(1);
  const Bytes bytes = random_bytes(random, 400);
  for (std::size_t begin = 0; begin < 9; ++begin) {
    for (std::size_t length = 0; length < 300; ++length) {
      const auto part = std::span(bytes).subspan(begin, length);
      ASSERT_EQ(checksum(part).host(), plain_checksum(part)) << begin << " " << length;
    }
  }
}

TEST(Checksum, CarriesOfAllOnesAreKept) {
  for (const std::size_t length : {1u, 2u, 8u, 63u, 1500u, 65535u, 65536u}) {
    const Bytes ones(length, 0xff);
    EXPECT_EQ(checksum(ones).host(), plain_checksum(ones)) << length;
    const Bytes zeros(length, 0);
    EXPECT_EQ(checksum(zeros).host(), 0xffff) << length;
  }
}

TEST(Checksum, PublishedExamples) {
  const Bytes rfc1071 = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};  // section 3: sum ddf2
  EXPECT_EQ(checksum(rfc1071).host(), 0xffff - 0xddf2);
  // RFC 1624 section 4: HC = 0xDD2F, m = 0x5555, m' = 0x3285 gives 0x0000, not 0xffff.
  EXPECT_EQ(update_checksum(Be16(0xdd2f), Be16(0x5555), Be16(0x3285)).host(), 0x0000);
}

TEST(Checksum, IncrementalEqualsFull) {
  std::mt19937 random(2);
  for (int round = 0; round < 20000; ++round) {
    Bytes data = random_bytes(random, 40);
    if (round % 4 == 0) std::fill(data.begin() + 4, data.end(), round % 8 == 0 ? 0x00 : 0xff);
    auto& field = view<Be16>(data.data());
    field = Be16();
    field = checksum(data);
    const std::size_t at = 4 + random() % 16 * 2;
    if (round % 2 == 0) {
      auto& word = view<Be16>(data.data() + at);
      const Be16 to(static_cast<std::uint16_t>(random()));
      field = update_checksum(field, word, to);
      word = to;
    } else {
      auto& word = view<Be32>(data.data() + at);
      const Be32 to(static_cast<std::uint32_t>(random()));
      field = update_checksum(field, word, to);
      word = to;
    }
    const Be16 incremental = field;
    field = Be16();
    ASSERT_EQ(incremental.host(), checksum(data).host()) << round;
  }
}

TEST(Checksum, Ipv4HeaderWithAndWithoutOptions) {
  // The header of the example in the Wikipedia article "Internet checksum".
  const Bytes known = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                       0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
  EXPECT_TRUE(ipv4_checksum_is_right(view<Ipv4Header>(known.data())));
  EXPECT_EQ(fold(plain_ipv4_header_sum(view<Ipv4Header>(known.data()))), 0xffff);
  Bytes options(60, 7);
  auto& header = view<Ipv4Header>(options.data());
  header.version_ihl = 0x4f;
  set_ipv4_checksum(header);
  EXPECT_EQ(plain_checksum(options), 0);
  EXPECT_TRUE(ipv4_checksum_is_right(header));
  options[59] ^= 1;
  EXPECT_FALSE(ipv4_checksum_is_right(header));
}

TEST(Crc32c, PublishedValues) {
  const std::string_view digits = "123456789";
  const Bytes check(digits.begin(), digits.end());
  EXPECT_EQ(crc32c(check), 0xe3069283u);
  EXPECT_EQ(crc32c(Bytes(32, 0x00)), 0x8a9136aau);  // RFC 3720 B.4
  EXPECT_EQ(crc32c(Bytes(32, 0xff)), 0x62a8ab43u);
  EXPECT_EQ(crc32c_portable(check), 0xe3069283u);
  EXPECT_EQ(crc32c({}), 0u);
}

TEST(Crc32c, ProcessorAndPortableAgreeAndPartsJoin) {
  std::mt19937 random(3);
  const Bytes bytes = random_bytes(random, 300);
  for (std::size_t length = 0; length <= bytes.size(); ++length) {
    const auto part = std::span(bytes).first(length);
    ASSERT_EQ(crc32c(part), crc32c_portable(part)) << length;
    const std::size_t middle = length / 3;
    ASSERT_EQ(crc32c(part.subspan(middle), crc32c(part.first(middle))), crc32c(part)) << length;
  }
}

TEST(Crc32c, ChangedPortsGiveTheCrcOfTheChangedPacketWhateverItsLength) {
  std::mt19937 random(4);
  for (const std::size_t length : {12, 13, 16, 20, 63, 1000, 1452, 9000, 65515, 65535}) {
    Bytes sctp = random_bytes(random, length);
    const Be32 right = sctp_checksum(sctp);
    const Be32 before = view<Be32>(sctp.data());
    const Be32 after(static_cast<std::uint32_t>(random()));
    view<Be32>(sctp.data()) = after;
    EXPECT_EQ(update_sctp_checksum(right, before, after, static_cast<std::uint32_t>(length)), sctp_checksum(sctp))
        << length;
    EXPECT_EQ(update_sctp_checksum(right, before, before, static_cast<std::uint32_t>(length)), right) << length;
  }
}

TEST(Difference, AddedToAChecksumGivesThatOfTheChangedData) {
  std::mt19937 random(6);
  for (unsigned round = 0; round < 2000; ++round) {
    Bytes data = random_bytes(random, 64);
    const Be16 old = checksum(data);
    const Ipv6 from = view<Ipv6>(&data[0]), to = view<Ipv6>(random_bytes(random, 16).data());
    const Be16 port_from = view<Be16>(&data[20]), port_to(static_cast<std::uint16_t>(random()));
    const Ipv4 v4_from = view<Ipv4>(&data[24]), v4_to = Ipv4::from_host(static_cast<std::uint32_t>(random()));
    view<Ipv6>(&data[0]) = to;
    view<Be16>(&data[20]) = port_to;
    view<Ipv4>(&data[24]) = v4_to;
    const Sum all = difference(from, to) + difference(port_from, port_to) + difference(v4_from, v4_to);
    ASSERT_EQ(add_difference(old, fold_difference(all)).host(), checksum(data).host()) << round;
    const auto sum = static_cast<std::uint16_t>(~old.raw());
    ASSERT_EQ(add_words(sum, fold_difference(all)), static_cast<std::uint16_t>(~checksum(data).raw())) << round;
  }
  EXPECT_EQ(fold_difference(difference(Be16(7), Be16(7))), 0);
  EXPECT_EQ(add_difference(Be16(0), 0), Be16(0));
  EXPECT_EQ(add_difference(Be16(0xffff), 0), Be16(0xffff));
}

struct OffloadRow {
  std::string name;
  PacketBuilder packet;
  std::size_t field;  // offset of the checksum
  std::size_t width;
};

std::vector<OffloadRow> offload_rows() {
  const auto ip4 = [] { return eth().ipv4("10.0.0.1", "10.0.0.2"); };
  const auto ip6 = [] { return eth().ipv6("fd00::1", "fd00::2"); };
  return {
      {"TCP IPv4", ip4().tcp(1000, 80), 50, 2},
      {"TCP IPv6", ip6().tcp(1000, 80), 70, 2},
      {"UDP IPv4", ip4().udp(1000, 53), 40, 2},
      {"UDP IPv6", ip6().udp(1000, 53), 60, 2},
      {"UDP IPv6 behind an extension header", ip6().extension(60).udp(1000, 53), 68, 2},
      {"SCTP IPv4", ip4().sctp(1000, 53), 42, 4},
      {"SCTP IPv6", ip6().sctp(1000, 53), 62, 4},
      {"TCP behind a VLAN tag", eth().vlan(5).ipv4("10.0.0.1", "10.0.0.2").tcp(1000, 80), 54, 2},
      {"TCP behind IPv4 options", ip4().options({148, 4, 0, 0}).tcp(1000, 80), 54, 2},
  };
}

TEST(Offload, ACompletedChecksumIsTheFullOne) {
  for (const OffloadRow& row : offload_rows()) {
    for (std::size_t length = 0; length < 70; ++length) {
      PacketBuilder full = row.packet;
      PacketBuilder partial = row.packet;
      TestPacket right(full.payload(length).bytes(), 0, 0);
      TestPacket left(partial.partial_checksum().payload(length).bytes(), 0, 0);
      ASSERT_EQ(right.parse(), Drop::kNone);
      ASSERT_EQ(left.parse(), Drop::kNone);
      EXPECT_TRUE(l4_checksum_is_right(right->head(), right->headers)) << row.name << length;
      EXPECT_FALSE(l4_checksum_is_partial(right->head(), right->headers)) << row.name << length;
      EXPECT_FALSE(l4_checksum_is_right(left->head(), left->headers)) << row.name << length;
      EXPECT_TRUE(l4_checksum_is_partial(left->head(), left->headers)) << row.name << length;
      EXPECT_TRUE(complete_l4_checksum(left->head(), left->headers));
      EXPECT_EQ(describe(left.bytes()), describe(right.bytes())) << row.name << length;
      ASSERT_EQ(left.bytes(), right.bytes()) << row.name << length;
    }
  }
}

TEST(Offload, ADamagedChecksumIsNeitherRightNorPartial) {
  for (const OffloadRow& row : offload_rows()) {
    PacketBuilder builder = row.packet;
    Bytes frame = builder.payload(33u).bytes();
    frame[row.field] ^= 0x55;
    TestPacket packet(frame, 0, 0);
    ASSERT_EQ(packet.parse(), Drop::kNone);
    EXPECT_FALSE(l4_checksum_is_right(packet->head(), packet->headers)) << row.name;
    EXPECT_FALSE(l4_checksum_is_partial(packet->head(), packet->headers)) << row.name;
  }
}

TEST(Offload, CompletingARightChecksumThatLooksPartialChangesNothing) {
  // For TCP with checksum C = P (pseudo-header sum), search payload words until the right checksum is P itself.
  int found = 0;
  for (unsigned word = 0; word <= 0xffff; ++word) {
    PacketBuilder builder = eth().ipv4("10.0.0.1", "10.0.0.2").tcp(1000, 80);
    const Bytes payload = {static_cast<std::uint8_t>(word >> 8), static_cast<std::uint8_t>(word)};
    if (word == 0) {
      // The checksum falls by one for each step of the word: go straight to the words near the one looked for.
      TestPacket zero(builder.payload(payload).bytes(), 0, 0);
      ASSERT_EQ(zero.parse(), Drop::kNone);
      PacketBuilder partial = eth().ipv4("10.0.0.1", "10.0.0.2").tcp(1000, 80).partial_checksum().payload(payload);
      const Bytes left = partial.bytes();
      const unsigned from = view<TcpHeader>(zero->data + 34).checksum.host();
      const unsigned to = view<TcpHeader>(left.data() + 34).checksum.host();
      word = (from + 0xffff - to - 2) % 0xffff;
      continue;
    }
    TestPacket packet(builder.payload(payload).bytes(), 0, 0);
    ASSERT_EQ(packet.parse(), Drop::kNone);
    if (!l4_checksum_is_partial(packet->head(), packet->headers)) continue;
    const Bytes before = packet.bytes();
    EXPECT_TRUE(complete_l4_checksum(packet->head(), packet->headers));
    EXPECT_EQ(packet.bytes(), before);
    ++found;
    break;
  }
  EXPECT_EQ(found, 1);
}

TEST(Offload, UdpZeroRules) {
  TestPacket none(eth().ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).no_checksum().payload(5u).bytes(), 0, 0);
  ASSERT_EQ(none.parse(), Drop::kNone);
  EXPECT_TRUE(l4_checksum_is_right(none->head(), none->headers)) << "RFC 768: none was sent";
  EXPECT_FALSE(l4_checksum_is_partial(none->head(), none->headers));
  TestPacket none6(eth().ipv6("fd00::1", "fd00::2").udp(1, 2).no_checksum().payload(5u).bytes(), 0, 0);
  ASSERT_EQ(none6.parse(), Drop::kNone);
  EXPECT_FALSE(l4_checksum_is_right(none6->head(), none6->headers)) << "RFC 8200 8.1: not with IPv6";

  // A payload that makes the sum 0xffff: the field must be 0xffff, never 0.
  TestPacket zero(eth().ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).payload(Bytes{0, 0}).bytes(), 0, 0);
  ASSERT_EQ(zero.parse(), Drop::kNone);
  const Be16 sum = view<UdpHeader>(zero->data + 34).checksum;
  view<Be16>(zero->data + 42) = sum;  // the word that was missing to 0xffff
  EXPECT_TRUE(complete_l4_checksum(zero->head(), zero->headers));
  EXPECT_EQ(view<UdpHeader>(zero->data + 34).checksum.host(), 0xffff);
  EXPECT_TRUE(l4_checksum_is_right(zero->head(), zero->headers));
}

TEST(Offload, RefusesWhatItCannotComplete) {
  TestPacket fragment(
      eth().ipv4("10.0.0.1", "10.0.0.2").fragment(0, true).udp(1, 2).partial_checksum().payload(8u).bytes(), 0, 0);
  ASSERT_EQ(fragment.parse(), Drop::kNone);
  const Bytes before = fragment.bytes();
  EXPECT_FALSE(l4_checksum_is_partial(fragment->head(), fragment->headers));
  EXPECT_FALSE(complete_l4_checksum(fragment->head(), fragment->headers));
  EXPECT_EQ(fragment.bytes(), before);

  const Bytes whole = eth().ipv4("10.0.0.1", "10.0.0.2").tcp(1, 2).partial_checksum().payload(100u).bytes();
  TestPacket head(cut(whole, 80), 0, 0);
  head->length_bytes = static_cast<std::uint32_t>(whole.size());
  ASSERT_EQ(head.parse(), Drop::kNone);
  EXPECT_TRUE(l4_checksum_is_partial(head->head(), head->headers)) << "the header is there";
  EXPECT_FALSE(complete_l4_checksum(head->head(), head->headers)) << "the payload is not";

  TestPacket gre(eth().ipv4("10.0.0.1", "10.0.0.2").protocol(47).payload(20u).bytes(), 0, 0);
  ASSERT_EQ(gre.parse(), Drop::kNone);
  EXPECT_FALSE(complete_l4_checksum(gre->head(), gre->headers));
}

TEST(Offload, UdpWithBytesBehindItsLength) {
  Bytes frame = eth().ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).payload(6u).bytes();
  auto& udp = view<UdpHeader>(frame.data() + 34);
  udp.length = Be16(12);
  TestPacket packet(frame, 0, 0);
  ASSERT_EQ(packet.parse(), Drop::kNone);
  EXPECT_TRUE(complete_l4_checksum(packet->head(), packet->headers));
  EXPECT_TRUE(l4_checksum_is_right(packet->head(), packet->headers));
  packet->data[47] ^= 0xff;  // behind the datagram: not covered
  EXPECT_TRUE(l4_checksum_is_right(packet->head(), packet->headers));
  packet->data[45] ^= 0xff;
  EXPECT_FALSE(l4_checksum_is_right(packet->head(), packet->headers));
}

}  // namespace
}  // namespace millrace::tests
