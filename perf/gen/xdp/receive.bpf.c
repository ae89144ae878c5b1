// Counts and drops UDP at the interface's first hook, before the kernel makes anything of it; lets all else pass, so
// that ARP, neighbour discovery and ping go on.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "receive.h"

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct receive_count);
} counts SEC(".maps");

static __always_inline int is_udp(void* data, void* end) {
  const struct ethhdr* ethernet = data;
  void* network = data + sizeof *ethernet;
  if (network > end) return 0;
  if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
    const struct iphdr* ip = network;
    return (void*)(ip + 1) <= end && ip->protocol == IPPROTO_UDP;
  }
  if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) {
    const struct ipv6hdr* ip = network;
    return (void*)(ip + 1) <= end && ip->nexthdr == IPPROTO_UDP;
  }
  return 0;
}

SEC("xdp")
int millrace_receive(struct xdp_md* context) {
  void* data = (void*)(long)context->data;
  void* end = (void*)(long)context->data_end;
  if (!is_udp(data, end)) return XDP_PASS;
  const __u32 key = 0;
  struct receive_count* count = bpf_map_lookup_elem(&counts, &key);
  if (count) {
    count->packets += 1;
    count->bytes += (__u64)(end - data);
  }
  return XDP_DROP;
}

char kLicense[] SEC("license") = "Apache-2.0";
