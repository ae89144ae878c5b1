/// What the receiver's program (receive.bpf.c) and its user space (receiver.cc) share. C for both.
#pragma once

#include <linux/types.h>

/* NOLINTNEXTLINE(readability-identifier-naming): named as C does */
struct receive_count {
  __u64 packets;
  __u64 bytes; /* of whole frames, without the FCS */
};
