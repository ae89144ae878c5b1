/// What the uplink's XDP program and its loader say to each other: keys and values of its maps, as the kernel has them.
///
/// Shape:   C, for both compilers. An IPv4 address lies in the first 4 bytes of 16, the rest is zero. Ports of
/// frontends
///          in network order, those of the settings in host order. No padding: maps compare every byte.
#pragma once

#include <linux/types.h>

enum {
  kUplinkSlots = 65536,       // sockets, by interface number: a power of two
  kUplinkFrontends = 262144,  // nat::kMaxFrontends
  kUplinkFragments = 4096,    // nat::kFragmentTableSize
};

struct uplink_settings {
  __u8 masquerade_v4[16];  // zero: none
  __u8 masquerade_v6[16];
  __u16 first_port;
  __u16 last_port;
};

struct uplink_frontend {
  __u8 address[16];
  __u16 port;
  __u8 protocol;
  __u8 family;  // 4 or 6
};

struct uplink_fragment {
  __u8 source[16];
  __u8 destination[16];
  __u32 id;
  __u8 protocol;  // IPv6: 0 (RFC 8200 section 4.5)
  __u8 family;
  __u8 zero[2];
};
