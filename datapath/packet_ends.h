/// PacketEnds: addresses and ports of a packet or of one direction of a flow, of either family, for people.
///
/// Shape:   ports host order, 0 where the protocol has none. ICMP echo has its identifier in both.
/// Thread:  a plain value.
#pragma once

#include <cstdint>

#include "net/address.h"

namespace millrace::datapath {

struct PacketEnds {
  net::IpAddress source;
  net::IpAddress destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
};

}  // namespace millrace::datapath
