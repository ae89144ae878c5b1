// The XDP program of uplinks: devices of the node of which the switch gets its own packets, and the kernel all others.
//
// Which are the switch's: datapath/uplink_rules.h. When in doubt a packet passes: the node must stay reachable.
// Fragments: only the first of a packet has ports. When it was taken, its addresses, protocol and identification are
// remembered, and the later ones follow it. So the node's own fragmented packets, to the same address, stay whole. A
// later fragment that overtakes its first passes, and its packet is lost, as it is in the switch (nat/fragment_table.h).
// An entry is good for 30 s, and a first fragment of the node's own under the same identification takes it back.
// VXLAN fragments are taken like others, for the switch to refuse and count. What is for a local prefix is taken by its
// address alone, so fragments of it need no memory.
// Queues: each has a socket of its own. A queue that has none (somebody gave the device more) leaves its packets to the
// kernel. VLAN tags: a packet that has one is of another network than the device's own: it passes.
// Source:  RFC 791, RFC 792, RFC 8200 section 4, RFC 4443; kernel Documentation/networking/af_xdp.rst.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "uplink_maps.h"

#define INLINE static __always_inline

enum {
  kIcmp = 1,
  kTcp = 6,
  kUdp = 17,
  kIcmpv6 = 58,
  kSctp = 132,
  kHopByHop = 0,
  kRouting = 43,
  kFragment = 44,
  kDestination = 60,
  kMaxExtensions = 6,
  kIcmpHeaderBytes = 8,
};

static const __u64 kFragmentLifetimeNs = 30ull * 1000 * 1000 * 1000;

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, kUplinkSlots);
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct uplink_settings);
} settings SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, kUplinkFrontends);
  __type(key, struct uplink_frontend);
  __type(value, __u8);
} frontends SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, kUplinkFragments);
  __type(key, struct uplink_fragment);
  __type(value, __u64);
} fragments SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, kUplinkPrefixes);
  __type(key, struct uplink_prefix);
  __type(value, __u8);
} local_prefixes SEC(".maps");

/// What both families' headers say. Addresses as in uplink_maps.h.
struct way {
  __u8 source[16];
  __u8 destination[16];
  __u32 id;
  __u8 family;
  __u8 protocol;
  __u8 is_first;  // of several fragments
  __u8 is_later;
};

struct fragment_header {
  __u8 next;
  __u8 reserved;
  __be16 offset;
  __be32 id;
};

INLINE int same_address(const __u8* a, const __u8* b) {
  const __u64* x = (const __u64*)a;
  const __u64* y = (const __u64*)b;
  return x[0] == y[0] && x[1] == y[1];
}

INLINE int is_none(const __u8* address) {
  const __u64* x = (const __u64*)address;
  return (x[0] | x[1]) == 0;
}

/// `port` in network order.
INLINE int is_masqueraded(const __u8* address, __u8 family, __be16 port) {
  const __u32 first = 0;
  const struct uplink_settings* rules = bpf_map_lookup_elem(&settings, &first);
  if (rules == 0) return 0;
  const __u8* own = family == 4 ? rules->masquerade_v4 : rules->masquerade_v6;
  if (is_none(own) || !same_address(own, address)) return 0;
  const __u16 number = bpf_ntohs(port);
  return number >= rules->first_port && number <= rules->last_port;
}

/// `port` in network order.
INLINE int is_vtep(const __u8* address, __u8 family, __be16 port) {
  const __u32 first = 0;
  const struct uplink_settings* rules = bpf_map_lookup_elem(&settings, &first);
  if (rules == 0 || rules->vtep_port == 0 || bpf_ntohs(port) != rules->vtep_port) return 0;
  const __u8* own = family == 4 ? rules->vtep_v4 : rules->vtep_v6;
  return !is_none(own) && same_address(own, address);
}

INLINE int is_local(const __u8* address, __u8 family) {
  const __u32 first = 0;
  const struct uplink_settings* rules = bpf_map_lookup_elem(&settings, &first);
  if (rules == 0 || rules->has_prefixes == 0) return 0;
  struct uplink_prefix key = {};
  key.bits = kUplinkFamilyBits + (family == 4 ? 32 : 128);
  key.family = family;
  __builtin_memcpy(key.address, address, sizeof key.address);
  return bpf_map_lookup_elem(&local_prefixes, &key) != 0;
}

INLINE int is_frontend(const __u8* address, __u8 family, __u8 protocol, __be16 port) {
  struct uplink_frontend key = {};
  __builtin_memcpy(key.address, address, sizeof key.address);
  key.port = port;
  key.protocol = protocol;
  key.family = family;
  return bpf_map_lookup_elem(&frontends, &key) != 0;
}

INLINE int has_ports(__u8 protocol) { return protocol == kTcp || protocol == kUdp || protocol == kSctp; }

/// The packet that an ICMP error quotes was sent from one of our ends: `source` is the error's own destination.
INLINE int is_quoted_source_ours(const void* l4, const void* end, const __u8* source, __u8 family, __u8 protocol) {
  const __u8* bytes = l4;
  if ((const void*)(bytes + 8) > end) return 0;
  const __be16 first = *(const __be16*)bytes;
  const __be16 third = *(const __be16*)(bytes + 4);
  if (has_ports(protocol)) {
    return is_masqueraded(source, family, first) || is_frontend(source, family, protocol, first);
  }
  const int is_echo = family == 4 ? protocol == kIcmp && bytes[0] == 8 : protocol == kIcmpv6 && bytes[0] == 128;
  return is_echo && is_masqueraded(source, family, third);
}

INLINE int is_quote_ours_v4(const void* quote, const void* end, const struct way* outer) {
  const struct iphdr* ip = quote;
  if ((const void*)(ip + 1) > end || ip->version != 4 || ip->ihl < 5) return 0;
  if ((ip->frag_off & bpf_htons(0x1fff)) != 0) return 0;
  if (ip->saddr != *(const __u32*)outer->destination) return 0;
  return is_quoted_source_ours((const __u8*)quote + ip->ihl * 4, end, outer->destination, 4, ip->protocol);
}

/// Moves behind the headers between IPv6 and the transport. 0: not understood.
INLINE const void* skip_extensions(const void* at, const void* end, struct way* way) {
  const __u8* cursor = at;
#pragma unroll
  for (int i = 0; i < kMaxExtensions; ++i) {
    if (way->protocol == kFragment) {
      const struct fragment_header* header = (const void*)cursor;
      if ((const void*)(header + 1) > end) return 0;
      const __u16 offset = bpf_ntohs(header->offset);
      way->is_later = (offset & 0xfff8) != 0;
      way->is_first = !way->is_later && (offset & 1) != 0;
      way->id = header->id;
      way->protocol = header->next;
      cursor += sizeof *header;
      if (way->is_later) return cursor;
    } else if (way->protocol == kHopByHop || way->protocol == kRouting || way->protocol == kDestination) {
      if ((const void*)(cursor + 2) > end) return 0;
      way->protocol = cursor[0];
      cursor += (cursor[1] + 1) * 8;
      if ((const void*)cursor > end) return 0;
    } else {
      return cursor;
    }
  }
  return 0;
}

INLINE int is_quote_ours_v6(const void* quote, const void* end, const struct way* outer) {
  const struct ipv6hdr* ip = quote;
  if ((const void*)(ip + 1) > end || ip->version != 6) return 0;
  if (!same_address((const __u8*)&ip->saddr, outer->destination)) return 0;
  struct way inner = {};
  inner.protocol = ip->nexthdr;
  const void* l4 = skip_extensions(ip + 1, end, &inner);
  if (l4 == 0 || inner.is_later) return 0;
  return is_quoted_source_ours(l4, end, outer->destination, 6, inner.protocol);
}

INLINE int is_icmp_error(__u8 family, __u8 type) {
  // Unreachable, time exceeded, parameter problem, source quench; those of ICMPv6 but what is private.
  return family == 4 ? type == 3 || type == 4 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

INLINE int is_transport_ours(const void* l4, const void* end, const struct way* way) {
  const __u8* bytes = l4;
  if (has_ports(way->protocol)) {
    if ((const void*)(bytes + 4) > end) return 0;
    const __be16 port = *(const __be16*)(bytes + 2);
    if (way->protocol == kUdp && is_vtep(way->destination, way->family, port)) return 1;
    return is_masqueraded(way->destination, way->family, port) ||
           is_frontend(way->destination, way->family, way->protocol, port);
  }
  if (way->protocol != (way->family == 4 ? kIcmp : kIcmpv6)) return 0;
  if ((const void*)(bytes + kIcmpHeaderBytes) > end) return 0;
  const __u8 reply = way->family == 4 ? 0 : 129;
  if (bytes[0] == reply) return is_masqueraded(way->destination, way->family, *(const __be16*)(bytes + 4));
  if (!is_icmp_error(way->family, bytes[0])) return 0;
  const void* quote = bytes + kIcmpHeaderBytes;
  return way->family == 4 ? is_quote_ours_v4(quote, end, way) : is_quote_ours_v6(quote, end, way);
}

INLINE int is_ours(const void* l4, const void* end, const struct way* way) {
  if (is_local(way->destination, way->family)) return 1;
  if (!way->is_first && !way->is_later) return is_transport_ours(l4, end, way);
  struct uplink_fragment key = {};
  __builtin_memcpy(key.source, way->source, sizeof key.source);
  __builtin_memcpy(key.destination, way->destination, sizeof key.destination);
  key.id = way->id;
  key.protocol = way->family == 4 ? way->protocol : 0;
  key.family = way->family;
  const __u64 now_ns = bpf_ktime_get_ns();
  if (way->is_later) {
    const __u64* taken_ns = bpf_map_lookup_elem(&fragments, &key);
    return taken_ns != 0 && now_ns - *taken_ns < kFragmentLifetimeNs;
  }
  const int ours = is_transport_ours(l4, end, way);
  if (ours) {
    bpf_map_update_elem(&fragments, &key, &now_ns, BPF_ANY);
  } else {
    bpf_map_delete_elem(&fragments, &key);
  }
  return ours;
}

INLINE int is_ipv4_ours(const void* l3, const void* end) {
  const struct iphdr* ip = l3;
  if ((const void*)(ip + 1) > end || ip->version != 4 || ip->ihl < 5) return 0;
  struct way way = {};
  *(__u32*)way.source = ip->saddr;
  *(__u32*)way.destination = ip->daddr;
  way.family = 4;
  way.protocol = ip->protocol;
  way.id = ip->id;
  way.is_later = (ip->frag_off & bpf_htons(0x1fff)) != 0;
  way.is_first = !way.is_later && (ip->frag_off & bpf_htons(0x2000)) != 0;
  return is_ours((const __u8*)l3 + ip->ihl * 4, end, &way);
}

INLINE int is_ipv6_ours(const void* l3, const void* end) {
  const struct ipv6hdr* ip = l3;
  if ((const void*)(ip + 1) > end || ip->version != 6) return 0;
  struct way way = {};
  __builtin_memcpy(way.source, &ip->saddr, sizeof way.source);
  __builtin_memcpy(way.destination, &ip->daddr, sizeof way.destination);
  way.family = 6;
  way.protocol = ip->nexthdr;
  const void* l4 = skip_extensions(ip + 1, end, &way);
  return l4 != 0 && is_ours(l4, end, &way);
}

SEC("xdp")
int millrace_uplink(struct xdp_md* context) {
  const void* data = (const void*)(long)context->data;
  const void* end = (const void*)(long)context->data_end;
  const struct ethhdr* ethernet = data;
  if ((const void*)(ethernet + 1) > end || (ethernet->h_dest[0] & 1) != 0) return XDP_PASS;
  int ours = 0;
  if (ethernet->h_proto == bpf_htons(ETH_P_IP)) ours = is_ipv4_ours(ethernet + 1, end);
  if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) ours = is_ipv6_ours(ethernet + 1, end);
  if (!ours) return XDP_PASS;
  if (context->rx_queue_index >= kUplinkQueues) return XDP_PASS;
  const __u32 slot = (context->ingress_ifindex & (kUplinkInterfaces - 1)) * kUplinkQueues + context->rx_queue_index;
  return bpf_redirect_map(&sockets, slot, XDP_PASS);
}

char kLicense[] SEC("license") = "Apache-2.0";
