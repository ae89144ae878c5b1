#include "perf/gen/connect/server.h"

#include "net/wire.h"
#include "perf/gen/connect/segment.h"
#include "perf/gen/run/turn_round.h"
#include "perf/gen/stream/random.h"

namespace millrace::perf::gen {

bool serve(net::Packet& packet, std::uint32_t response_bytes) noexcept {
  using net::TcpHeader;
  if (net::parse(packet.head(), packet.length_bytes, packet.headers) != net::Drop::kNone) return false;
  const net::Headers& headers = packet.headers;
  if (!headers.has_l4 || headers.is_fragment) return false;
  if (headers.l4_protocol == net::ip_protocol::kUdp) {
    if (response_bytes == 0) return turn_round(packet);
    const Ends ends = ends_of_answer(packet.data, headers);
    packet.head_bytes = packet.length_bytes = write_segment(packet.data, ends, {.payload_bytes = response_bytes});
    return true;
  }
  if (headers.l4_protocol != net::ip_protocol::kTcp) return false;
  const auto& tcp = net::view<TcpHeader>(packet.data + headers.l4_offset);
  const std::uint32_t payload = headers.l3_length - (headers.payload_offset - headers.l3_offset);
  if ((tcp.flags & TcpHeader::kRst) != 0 || payload > kMostPayloadBytes) return false;
  Segment answer{.acknowledgment = tcp.sequence.host() + payload};
  if ((tcp.flags & (TcpHeader::kSyn | TcpHeader::kAck)) == TcpHeader::kSyn) {
    answer.flags = TcpHeader::kSyn | TcpHeader::kAck;
    answer.sequence = static_cast<std::uint32_t>(mix64(tcp.sequence.host()));
    ++answer.acknowledgment;
  } else if ((tcp.flags & TcpHeader::kFin) != 0) {
    answer.flags = TcpHeader::kFin | TcpHeader::kAck;
    answer.sequence = tcp.acknowledgment.host();
    ++answer.acknowledgment;
  } else if (payload != 0) {
    answer.flags = TcpHeader::kAck | TcpHeader::kPsh;
    answer.sequence = tcp.acknowledgment.host();
    answer.payload_bytes = response_bytes == 0 ? payload : response_bytes;
  } else {
    return false;
  }
  const Ends ends = ends_of_answer(packet.data, headers);
  packet.head_bytes = packet.length_bytes = write_segment(packet.data, ends, answer);
  return true;
}

}  // namespace millrace::perf::gen
