// Fuzzes what a guest leaves to its device: check_offload(), and on what passes it the Segmenter and the completion of
// checksums. The input is eight bytes that say how the frame comes, then the frame:
//   flags (1: its checksum is partial, 2: its IP length and checksum are mended, 4: in several segments),
//   gso_size, bytes of the first segment, bytes of each other (two bytes each, network byte order),
//   and by how many times 64 bytes its payload is made longer.

#include <algorithm>
#include <cstring>

#include "net/checksum.h"
#include "net/ip_header.h"
#include "net/offload.h"
#include "net/segment.h"
#include "tests/fuzz/require.h"
#include "tests/net/test_chain.h"

namespace {

using namespace millrace;
using namespace millrace::net;
using tests::Bytes;
using tests::require;
using tests::TestChain;
using tests::TestPacket;
using Input = std::span<const std::uint8_t>;

constexpr std::size_t kChoiceBytes = 8;
constexpr std::uint8_t kPartial = 1, kMended = 2, kChained = 4;

std::uint16_t two_bytes(const std::uint8_t* from) { return static_cast<std::uint16_t>(from[0] << 8 | from[1]); }

Be16 length_of(std::size_t bytes) { return Be16(static_cast<std::uint16_t>(std::min<std::size_t>(bytes, 0xffff))); }

/// A fuzzer guesses neither a length nor a checksum.
void mend(Bytes& frame) {
  Headers headers;
  parse(frame, static_cast<std::uint32_t>(frame.size()), headers);
  std::uint8_t* const l3 = frame.data() + headers.l3_offset;
  const std::size_t bytes = frame.size() - std::min<std::size_t>(frame.size(), headers.l3_offset);
  if (bytes >= sizeof(Ipv4Header) && l3[0] >> 4 == 4) {
    auto& header = view<Ipv4Header>(l3);
    header.total_length = length_of(bytes);
    if (bytes >= header.header_bytes()) set_ipv4_checksum(header);
  } else if (bytes >= sizeof(Ipv6Header) && l3[0] >> 4 == 6) {
    view<Ipv6Header>(l3).payload_length = length_of(bytes - sizeof(Ipv6Header));
  }
}

void check_pieces(const Packet& packet, Input payload) {
  const std::uint32_t size = packet.offload.gso_size_bytes;
  const std::uint32_t sequence =
      view<TcpHeader>(static_cast<const std::uint8_t*>(packet.data) + packet.headers.l4_offset).sequence.host();
  std::size_t at = 0, count = 0;
  for (Segmenter segmenter(packet); !segmenter.is_done(); ++count) {
    TestPacket piece = TestPacket::with_capacity(packet.headers.payload_offset + size, 0);
    require(segmenter.write_next(*piece), "a piece takes no more than its headers and gso_size bytes");
    const Headers told = piece->headers;
    require(piece.parse() == Drop::kNone, "a piece parses");
    require(std::memcmp(&told, &piece->headers, sizeof told) == 0, "headers are those of a parser");
    require(l4_checksum_is_right(piece->head(), piece->headers), "a piece's checksum is complete and right");
    require(!has_offload(*piece), "nothing is left to do with a piece");
    const std::uint32_t bytes = payload_bytes(*piece);
    require(bytes == std::min<std::size_t>(size, payload.size() - at), "pieces have gso_size bytes, the last the rest");
    require(std::memcmp(piece->data + piece->headers.payload_offset, payload.data() + at, bytes) == 0,
            "payload is kept");
    require(piece->headers.l3_length <= longest_l3_bytes(packet),
            "no piece is longer than what MTUs are compared with");
    const auto& tcp = view<TcpHeader>(piece->data + piece->headers.l4_offset);
    require(tcp.sequence.host() == sequence + static_cast<std::uint32_t>(at), "sequence numbers follow the payload");
    at += bytes;
  }
  require(at == payload.size(), "nothing is lost");
  require(count >= 2 && count <= kMaxSegments, "it is as many packets as it may be");
}

void check_whole(Packet& packet) {
  require(!packet.is_chained(), "what is not to be cut has one segment");
  if (!packet.offload.checksum_partial) return;
  const bool may_be_left = checksum_may_be_left(packet);
  require(complete_l4_checksum(packet.head(), packet.headers), "a partial checksum can be completed");
  require(l4_checksum_is_right(packet.head(), packet.headers), "a completed checksum is right");
  require(!may_be_left || packet.headers.l3_offset + packet.headers.l3_length == packet.length_bytes,
          "a device that sums up to the frame's end sums what belongs to it");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size <= kChoiceBytes) return 0;
  const std::uint8_t flags = data[0];
  Bytes frame(data + kChoiceBytes, data + size);
  for (int i = 0; i < data[7] * 64; ++i) frame.push_back(static_cast<std::uint8_t>(i * 7 + i / 251));
  if (frame.size() > kMaxPacketBytes) frame.resize(kMaxPacketBytes);
  if ((flags & kMended) != 0) mend(frame);
  const Offload offload{.checksum_partial = (flags & kPartial) != 0, .gso_size_bytes = two_bytes(data + 1)};
  const bool is_chained = (flags & kChained) != 0;
  TestChain packet(frame, is_chained ? std::max<std::size_t>(1, two_bytes(data + 3)) : frame.size(),
                   std::max<std::size_t>(16, two_bytes(data + 5)), offload);
  if (packet.parse() != Drop::kNone || check_offload(*packet) != Drop::kNone) return 0;
  if (packet->offload.gso_size_bytes == 0) {
    check_whole(*packet);
  } else {
    check_pieces(*packet, Input(frame).subspan(packet->headers.payload_offset, payload_bytes(*packet)));
  }
  return 0;
}
