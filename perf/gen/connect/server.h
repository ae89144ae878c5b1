/// serve: the answer of a server to a TCP segment or UDP datagram, without any state of its own.
///
/// Shape:   SYN -> SYN ACK; payload -> a response, acknowledged; FIN -> FIN ACK; a bare ACK or RST -> nothing. What its
/// sequence numbers are follows from what it is told, so any number of connections may be open. It answers
///          to where a packet was seen to come from, and so through NAT. UDP: a datagram goes back.
/// Thread:  the packet's owner. Never allocates.
#pragma once

#include "net/packet.h"

namespace millrace::perf::gen {

/// Writes the answer over the packet. False: nothing is to be sent. `response_bytes`: of a response; 0: as many as the
/// request had.
bool serve(net::Packet& packet, std::uint32_t response_bytes) noexcept;

}  // namespace millrace::perf::gen
