#include "datapath/io/vhost_mbuf.h"

#include "net/offload.h"

namespace millrace::datapath::io::vhost_mbuf {
namespace {

/// Of several segments; the switch has no use for an empty one.
bool can_be_taken(const rte_mbuf& mbuf) noexcept {
  if ((mbuf.ol_flags & RTE_MBUF_F_RX_LRO) == 0 || mbuf.pkt_len > net::kMaxPacketBytes) return false;
  for (const rte_mbuf* segment = &mbuf; segment != nullptr; segment = segment->next) {
    if (segment->data_len == 0) return false;
  }
  return true;
}

void link_packets(rte_mbuf& first) noexcept {
  std::uint32_t left_bytes = first.pkt_len;
  for (rte_mbuf* segment = &first; segment != nullptr;) {
    net::Packet& packet = *packet_of(segment);
    rte_mbuf* const next = segment->next;
    packet.data = rte_pktmbuf_mtod(segment, std::uint8_t*);
    packet.head_bytes = segment->data_len;
    packet.length_bytes = left_bytes;
    packet.next = next == nullptr ? nullptr : packet_of(next);
    left_bytes -= segment->data_len;
    segment->next = nullptr;
    segment->nb_segs = 1;
    segment = next;
  }
}

void link_mbufs(const net::Packet& packet, rte_mbuf& first) noexcept {
  rte_mbuf* last = &first;
  for (const net::Packet* segment = &packet; segment->is_chained();) {
    segment = segment->next;
    rte_mbuf* const mbuf = mbuf_of(segment);
    mbuf->data_off = static_cast<std::uint16_t>(segment->data - segment->buffer);
    mbuf->data_len = static_cast<std::uint16_t>(segment->head_bytes);
    last->next = mbuf;
    last = mbuf;
    ++first.nb_segs;
  }
}

}  // namespace

bool take_unusual(rte_mbuf& mbuf, net::Packet& packet) noexcept {
  const std::uint64_t flags = mbuf.ol_flags;
  if (mbuf.nb_segs != 1) {
    if (!can_be_taken(mbuf)) return false;
    link_packets(mbuf);
  }
  packet.offload.checksum_partial = (flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE;
  if ((flags & RTE_MBUF_F_RX_LRO) != 0) packet.offload.gso_size_bytes = mbuf.tso_segsz;
  return true;
}

void give_unusual(const net::Packet& packet, rte_mbuf& mbuf) noexcept {
  const net::Headers& headers = packet.headers;
  const bool is_tcp = headers.l4_protocol == net::ip_protocol::kTcp;
  mbuf.tx_offload = 0;
  mbuf.l2_len = std::uint64_t{headers.l3_offset} & 0x7f;
  mbuf.l3_len = static_cast<std::uint64_t>(headers.l4_offset - headers.l3_offset) & 0x1ff;
  mbuf.ol_flags = (headers.l3 == net::L3::kIpv4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6) |
                  (is_tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM);
  if (packet.offload.gso_size_bytes == 0) return;
  mbuf.ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
  mbuf.l4_len = static_cast<std::uint64_t>(headers.payload_offset - headers.l4_offset) & 0xff;
  mbuf.tso_segsz = packet.offload.gso_size_bytes;
  link_mbufs(packet, mbuf);
}

void part(rte_mbuf& mbuf) noexcept {
  for (rte_mbuf* segment = &mbuf; segment != nullptr;) {
    rte_mbuf* const next = segment->next;
    segment->next = nullptr;
    segment->nb_segs = 1;
    segment = next;
  }
}

}  // namespace millrace::datapath::io::vhost_mbuf
