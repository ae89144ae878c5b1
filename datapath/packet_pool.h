/// PacketPool: where packets come from and where they go back to.
///
/// Shape:   an allocated packet has head_bytes = length_bytes = 0, default offload and headers, and at least
///          kHeadroomBytes before `data`.
/// Thread:  any worker at any time; implementations are safe for several workers. Never allocates memory, never blocks.
/// Errors:  allocate returns nullptr when the pool is empty; the caller counts Drop::kNoBuffers.
#pragma once

#include <span>

#include "net/packet.h"

namespace millrace::datapath {

/// Room for VXLAN over IPv6 (70 bytes), two VLAN tags, and an ICMP error in front of the packet it quotes.
inline constexpr std::uint32_t kHeadroomBytes = 128;

class PacketPool {
 public:
  virtual ~PacketPool() = default;
  virtual net::Packet* allocate() noexcept = 0;
  virtual void release(std::span<net::Packet* const> packets) noexcept = 0;
};

}  // namespace millrace::datapath
