/// UplinkRules: which packets that come by a device of the node are the switch's. All others are the kernel's.
///
/// Shape:   to a masquerade address: TCP, UDP and SCTP to a port in `ports`, and replies to ICMP echoes whose
///          identifier is in `ports`. To a frontend: its address, protocol and port. ICMP errors about a packet that
///          had such an end as its source. Of a fragmented packet the fragments behind a first one that was taken.
///          VXLAN: UDP to `vtep_port` at a VTEP address. To a local prefix: everything, without a look at ports.
///          An unspecified address: none of that family. `frontends` in order, none twice.
/// Thread:  plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "nat/port_pool.h"
#include "net/address.h"

namespace millrace::datapath {

struct UplinkFrontend {
  net::IpAddress address;
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
  friend auto operator<=>(const UplinkFrontend&, const UplinkFrontend&) = default;
};

struct UplinkRules {
  net::Ipv4 masquerade_v4;
  net::Ipv6 masquerade_v6;
  nat::PortRange ports;
  std::vector<UplinkFrontend> frontends;
  net::Ipv4 vtep_v4;
  net::Ipv6 vtep_v6;
  std::uint16_t vtep_port = 0;
  std::vector<net::Prefix> local_prefixes;  // pods of this node, when packets come without encapsulation; none twice
};

}  // namespace millrace::datapath
