#include "perf/gen/connect/server.h"

#include "net/wire.h"
#include "perf/gen/connect/segment.h"
#include "perf/gen/run/turn_round.h"
#include "perf/gen/stream/random.h"

namespace millrace::perf::gen {

bool serve(net::Packet& packet) noexcept {
  using net::TcpHeader;
  if (net::parse(packet.head(), packet.length_bytes, packet.headers) != net::Drop::kNone) return false;
  const net::Headers& headers = packet.headers;
  if (!headers.has_l4 || headers.is_fragment || headers.l3 != net::L3::kIpv4 || headers.vlan_count != 0) return false;
  if (headers.l4_protocol == net::ip_protocol::kUdp) return turn_round(packet);
  if (headers.l4_protocol != net::ip_protocol::kTcp) return false;
  const auto& ethernet = net::view<net::EthernetHeader>(packet.data);
  const auto& ip = net::view<net::Ipv4Header>(packet.data + headers.l3_offset);
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
    answer.payload_bytes = payload;
  } else {
    return false;
  }
  const Ends ends{.source_mac = ethernet.destination,
                  .destination_mac = ethernet.source,
                  .source = ip.destination,
                  .destination = ip.source,
                  .source_port = headers.destination_port,
                  .destination_port = headers.source_port};
  packet.head_bytes = packet.length_bytes = write_segment(packet.data, ends, answer);
  return true;
}

}  // namespace millrace::perf::gen
