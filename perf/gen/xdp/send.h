/// What the sender's program (send.bpf.c) and its user space (sender.cc) share. C for both.
#pragma once

#include <linux/types.h>

/* Copied to the front of every frame: up to the first two bytes behind an IPv6 UDP header. */
#define SEND_HEAD_BYTES 64
/* Source ports 1024 .. 61023 are used one after the other, then the next destination port. */
#define SEND_FIRST_PORT 1024
#define SEND_PORTS 60000

/* NOLINTNEXTLINE(readability-identifier-naming): named as C does */
struct send_config {
  __u64 head[SEND_HEAD_BYTES / 8]; /* Ethernet, IP and UDP header, ports and UDP checksum zero */
  __u32 interface_index;           /* where the frames leave */
  __u32 flows;
  __u32 checksum_sum;     /* one's-complement sum of all but the ports, big-endian words, not folded */
  __u16 udp_offset;       /* 34 or 54 */
  __u16 destination_port; /* of the first SEND_PORTS flows, host order */
};
