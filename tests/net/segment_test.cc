// TCP that stands for many packets, cut into them: each is the frame that a sender without offload would have built.
#include "net/segment.h"

#include <gtest/gtest.h>

#include <random>

#include "net/checksum.h"
#include "net/ip_header.h"
#include "net/offload.h"
#include "tests/net/test_chain.h"

namespace millrace::net {
namespace {

using namespace tests;

constexpr std::uint8_t kFin = TcpHeader::kFin, kPsh = TcpHeader::kPsh, kAck = TcpHeader::kAck, kUrg = TcpHeader::kUrg,
                       kEce = TcpHeader::kEce, kCwr = TcpHeader::kCwr;

/// Every piece of the packet, in order.
std::vector<Bytes> pieces_of(const Packet& packet, std::uint32_t room_bytes = 2000) {
  std::vector<Bytes> pieces;
  for (Segmenter segmenter(packet); !segmenter.is_done();) {
    TestPacket piece = TestPacket::with_capacity(room_bytes);
    if (!segmenter.write_next(*piece)) return {};
    const Headers told = piece->headers;
    EXPECT_EQ(piece.parse(), Drop::kNone);
    EXPECT_EQ(std::memcmp(&told, &piece->headers, sizeof told), 0) << "headers are those of a parser";
    EXPECT_FALSE(has_offload(*piece));
    EXPECT_TRUE(piece->checksum_is_known);
    pieces.push_back(piece.bytes());
  }
  return pieces;
}

Bytes counted(std::size_t from, std::size_t count) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(from + i);
  return bytes;
}

/// What differs from one piece to the next, and makes the frame.
struct Piece {
  std::uint16_t id;
  std::uint32_t sequence;
  std::uint8_t flags;
  std::size_t from, count;  // of payload
};

using Build = PacketBuilder (*)(const Piece&);

PacketBuilder tcp_of(PacketBuilder l3, const Piece& piece) {
  return l3.tcp(4000, 80, piece.flags).sequence(piece.sequence, 99);
}
PacketBuilder plain_v4(const Piece& piece) {
  return tcp_of(eth().ipv4("10.0.0.1", "10.0.0.2").ttl(7).fragment(0, false, piece.id), piece);
}
PacketBuilder all_options_v4(const Piece& piece) {
  return tcp_of(
             eth().vlan(5).ipv4("10.0.0.1", "10.0.0.2").fragment(0, false, piece.id).options({1, 1, 1, 1, 1, 1, 1, 0}),
             piece)
      .options({1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8});
}
PacketBuilder plain_v6(const Piece& piece) { return tcp_of(eth().ipv6("fd00::1", "fd00::2"), piece); }
PacketBuilder extended_v6(const Piece& piece) {
  return tcp_of(eth().ipv6("fd00::1", "fd00::2").extension(60, 16), piece).options({1, 1, 1, 1});
}

TEST(Segmenter, WritesWhatASenderWithoutOffloadSends) {
  struct Row {
    const char* name;
    Build build;
    Piece whole;
    std::uint16_t gso_size_bytes;
    std::vector<Piece> pieces;
  };
  const Row rows[] = {
      {"IPv4, the last one short",
       plain_v4,
       {7, 1000, kAck, 0, 2500},
       1000,
       {{7, 1000, kAck, 0, 1000}, {8, 2000, kAck, 1000, 1000}, {9, 3000, kAck, 2000, 500}}},
      {"IPv4, all of one size",
       plain_v4,
       {1, 0, kAck, 0, 1500},
       500,
       {{1, 0, kAck, 0, 500}, {2, 500, kAck, 500, 500}, {3, 1000, kAck, 1000, 500}}},
      {"FIN and PSH are the last one's",
       plain_v4,
       {1, 5, kAck | kPsh | kFin, 0, 150},
       100,
       {{1, 5, kAck, 0, 100}, {2, 105, kAck | kPsh | kFin, 100, 50}}},
      {"CWR is the first one's, ECE everyone's",
       plain_v4,
       {1, 5, kAck | kCwr | kEce, 0, 150},
       100,
       {{1, 5, kAck | kCwr | kEce, 0, 100}, {2, 105, kAck | kEce, 100, 50}}},
      {"numbers that begin again at 0",
       plain_v4,
       {0xffff, 0xffffffff, kAck, 0, 3},
       1,
       {{0xffff, 0xffffffff, kAck, 0, 1}, {0, 0, kAck, 1, 1}, {1, 1, kAck, 2, 1}}},
      {"VLAN and options of both",
       all_options_v4,
       {1, 5, kAck, 0, 101},
       100,
       {{1, 5, kAck, 0, 100}, {2, 105, kAck, 100, 1}}},
      {"IPv6",
       plain_v6,
       {0, 5, kAck | kPsh, 0, 1440 * 2},
       1440,
       {{0, 5, kAck, 0, 1440}, {0, 1445, kAck | kPsh, 1440, 1440}}},
      {"IPv6 with an extension header",
       extended_v6,
       {0, 5, kAck, 0, 150},
       100,
       {{0, 5, kAck, 0, 100}, {0, 105, kAck, 100, 50}}},
  };
  for (const Row& row : rows) {
    for (const std::size_t head_bytes : {200u, 126u, 60'000u}) {
      const Bytes frame = row.build(row.whole).partial_checksum().payload(counted(0, row.whole.count)).bytes();
      TestChain whole(frame, head_bytes, 333, {.checksum_partial = true, .gso_size_bytes = row.gso_size_bytes});
      ASSERT_EQ(whole.parse(), Drop::kNone) << row.name;
      ASSERT_EQ(check_offload(*whole), Drop::kNone) << row.name;
      const std::vector<Bytes> pieces = pieces_of(*whole);
      ASSERT_EQ(pieces.size(), row.pieces.size()) << row.name;
      for (std::size_t i = 0; i < pieces.size(); ++i) {
        const Piece& piece = row.pieces[i];
        const Bytes expected = row.build(piece).payload(counted(piece.from, piece.count)).bytes();
        EXPECT_EQ(describe(pieces[i]), describe(expected)) << row.name << ", piece " << i;
        EXPECT_EQ(pieces[i], expected) << row.name << ", piece " << i;
      }
    }
  }
}

TEST(Segmenter, AnUrgentPointerStaysWhereItPoints) {
  constexpr std::size_t kUrgentField = 14 + 20 + offsetof(TcpHeader, urgent);
  constexpr std::size_t kFlagsField = 14 + 20 + offsetof(TcpHeader, flags);
  Bytes frame = plain_v4({1, 5, kAck | kUrg, 0, 300}).partial_checksum().payload(300u).bytes();
  frame[kUrgentField + 1] = 150;
  TestChain whole(frame, 100, 100, {.checksum_partial = true, .gso_size_bytes = 100});
  ASSERT_EQ(whole.parse(), Drop::kNone);
  const std::vector<Bytes> pieces = pieces_of(*whole);
  ASSERT_EQ(pieces.size(), 3u);
  const std::uint8_t pointers[] = {150, 50, 0}, flags[] = {kAck | kUrg, kAck | kUrg, kAck};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(pieces[i][kUrgentField + 1], pointers[i]) << i;
    EXPECT_EQ(pieces[i][kFlagsField], flags[i]) << i;
  }
}

TEST(Segmenter, SaysWhenAPieceHasNoRoom) {
  TestChain whole(plain_v4({1, 5, kAck, 0, 2500}).partial_checksum().payload(2500u).bytes(), 1000, 1000,
                  {.checksum_partial = true, .gso_size_bytes = 1000});
  ASSERT_EQ(whole.parse(), Drop::kNone);
  EXPECT_TRUE(pieces_of(*whole, 14 + 20 + 20 + 999).empty());
  EXPECT_EQ(pieces_of(*whole, 14 + 20 + 20 + 1000).size(), 3u);
}

/// Of random sizes, options and segments: the payloads are that of the whole, in order and at their sequence numbers,
/// each as long as it may be, and every checksum is right.
TEST(Segmenter, LosesAndAddsNothing) {
  std::mt19937 random(11);
  const auto draw = [&](std::size_t least, std::size_t most) {
    return std::uniform_int_distribution<std::size_t>(least, most)(random);
  };
  for (int round = 0; round < 400; ++round) {
    const bool is_v4 = draw(0, 1) == 0;
    Bytes payload(draw(1, round % 10 == 0 ? 65'000 : 9'000));
    for (std::uint8_t& byte : payload) byte = static_cast<std::uint8_t>(random());
    const auto gso_size_bytes =
        static_cast<std::uint16_t>(draw(std::max<std::size_t>(32, payload.size() / 2000), 1448));
    if (payload.size() <= gso_size_bytes) continue;
    const auto first_sequence = static_cast<std::uint32_t>(random());
    PacketBuilder builder = is_v4 ? eth().ipv4("10.0.0.1", "10.0.0.2") : eth().ipv6("fd00::1", "fd00::2");
    builder.tcp(1, 2, kAck | kPsh).sequence(first_sequence, 1).options(Bytes(4 * draw(0, 10), 1)).partial_checksum();
    TestChain whole(builder.payload(payload).bytes(), draw(134, 1800), draw(1, 1800),
                    {.checksum_partial = true, .gso_size_bytes = gso_size_bytes});
    ASSERT_EQ(whole.parse(), Drop::kNone);
    ASSERT_EQ(check_offload(*whole), Drop::kNone);

    Bytes joined;
    for (Segmenter segmenter(*whole); !segmenter.is_done();) {
      TestPacket piece = TestPacket::with_capacity(1600);
      ASSERT_TRUE(segmenter.write_next(*piece));
      ASSERT_EQ(piece.parse(), Drop::kNone) << "IPv4 checksum and all lengths";
      EXPECT_TRUE(l4_checksum_is_right(piece->head(), piece->headers));
      const auto& tcp = view<TcpHeader>(static_cast<const std::uint8_t*>(piece->data) + piece->headers.l4_offset);
      EXPECT_EQ(tcp.sequence.host(), first_sequence + static_cast<std::uint32_t>(joined.size()));
      const Bytes bytes = piece.bytes();
      joined.insert(joined.end(), bytes.begin() + piece->headers.payload_offset, bytes.end());
      EXPECT_EQ(payload_bytes(*piece),
                segmenter.is_done() ? payload.size() - (joined.size() - payload_bytes(*piece)) : gso_size_bytes);
      EXPECT_LE(longest_l3_bytes(*piece), longest_l3_bytes(*whole));
      EXPECT_EQ((tcp.flags & kPsh) != 0, segmenter.is_done());
    }
    ASSERT_EQ(joined, payload);
  }
}

}  // namespace
}  // namespace millrace::net
