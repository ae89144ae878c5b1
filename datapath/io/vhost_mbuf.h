/// Between Packets and the mbufs that DPDK's vhost library takes and gives: segments and offload, both ways.
///
/// Shape:   the library links the segments of a packet by rte_mbuf::next, the switch by Packet::next. Outside of its
///          calls every mbuf is one of its own (next null, nb_segs 1), as the pool wants them back.
/// From a guest: what it leaves to the device comes as RX_L4_CKSUM_NONE and RX_LRO with tso_segsz, and nothing else of
///          its virtio-net header is handed on. The library has looked at checksum start and offset: where they are not
///          those of the TCP, UDP or SCTP header that it found, it has computed the checksum itself. It knows of a
///          guest whether it left a checksum, so the field need not be compared.
/// To a guest: the library makes the virtio-net header of TX flags and header lengths, and writes the pseudo-header sum
///          into the field; for TCP that is to be cut without the length, which a guest that forwards it in pieces
///          would add to. Those that receive it do not look.
/// Thread:  the port's worker. Never allocates.
/// Source:  DPDK Programmer's Guide 22.11, "Vhost Library", RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS; rte_net.h.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "datapath/io/mbuf_pool.h"
#include "net/packet.h"

namespace millrace::datapath::io::vhost_mbuf {

/// Sets segments and offload of a packet whose mbuf says that it has any. False, and the mbuf is still the library's
/// kind of chain: several segments of what is not to be cut, or more bytes than IP can have.
bool take_unusual(rte_mbuf& mbuf, net::Packet& packet) noexcept;

/// The packet of a received mbuf; nullptr: refused, and freed.
inline net::Packet* take(rte_mbuf* mbuf) noexcept {
  net::Packet& packet = *packet_of(mbuf);
  MbufPool::reset(packet);
  packet.data = rte_pktmbuf_mtod(mbuf, std::uint8_t*);
  packet.head_bytes = packet.length_bytes = mbuf->pkt_len;
  packet.checksum_is_known = true;
  const bool is_plain = mbuf->ol_flags == 0 && mbuf->nb_segs == 1;
  if (is_plain || take_unusual(*mbuf, packet)) [[likely]]
    return &packet;
  rte_pktmbuf_free(mbuf);
  return nullptr;
}

/// What give() leaves to do for a packet with a partial checksum. Precondition: net::checksum_may_be_left().
void give_unusual(const net::Packet& packet, rte_mbuf& mbuf) noexcept;

/// The mbuf of a packet that is to be sent.
inline rte_mbuf* give(const net::Packet& packet) noexcept {
  rte_mbuf* const mbuf = mbuf_of(&packet);
  mbuf->data_off = static_cast<std::uint16_t>(packet.data - packet.buffer);
  mbuf->data_len = static_cast<std::uint16_t>(packet.head_bytes);
  mbuf->pkt_len = packet.length_bytes;
  mbuf->nb_segs = 1;
  mbuf->next = nullptr;
  mbuf->ol_flags = 0;
  if (packet.offload.checksum_partial) [[unlikely]]
    give_unusual(packet, *mbuf);
  return mbuf;
}

/// After the library's call, whether it took the mbuf or not: makes the segments mbufs of their own again.
void part(rte_mbuf& mbuf) noexcept;

}  // namespace millrace::datapath::io::vhost_mbuf
