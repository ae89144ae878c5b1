/// What the uplink's XDP program and its loader say to each other: keys and values of its maps, as the kernel has them.
///
/// Shape:   C, for both compilers. An IPv4 address lies in the first 4 bytes of 16, the rest is zero. Ports of
///          frontends in network order, those of the settings in host order. No padding: maps compare every byte.
///          A socket's slot: its interface's number modulo kUplinkInterfaces, times kUplinkQueues, and its queue.
#pragma once

#include <linux/types.h>

enum {
  kUplinkQueues = 64,        // of one interface
  kUplinkInterfaces = 1024,  // slots of interfaces: a power of two
  kUplinkSlots = kUplinkInterfaces * kUplinkQueues,
  kUplinkFrontends = 262144,  // nat::kMaxFrontends
  kUplinkFragments = 4096,    // nat::kFragmentTableSize
  kUplinkPrefixes = 2048,     // 1024 (control/api/tunnels.proto) before a change and as many after it
  kUplinkFamilyBits = 8,      // of a prefix, before those of its address
};

struct uplink_settings {
  __u8 masquerade_v4[16];  // zero: none
  __u8 masquerade_v6[16];
  __u8 vtep_v4[16];
  __u8 vtep_v6[16];
  __u16 first_port;
  __u16 last_port;
  __u16 vtep_port;     // 0: none
  __u16 has_prefixes;  // 0: there are no local prefixes
};

/// Of a longest prefix match: the family and the address are one string of bits.
struct uplink_prefix {
  __u32 bits;  // kUplinkFamilyBits and those of the prefix
  __u8 family;
  __u8 address[16];
  __u8 zero[3];
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
