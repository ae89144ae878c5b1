// Writes one UDP frame and sends it out of the interface, each time it is run. It is never attached anywhere: user
// space runs it through the kernel's live-frames hook (BPF_PROG_TEST_RUN with BPF_F_TEST_XDP_LIVE_FRAMES), which takes
// frames from a page pool, at the speed at which a driver would.
//
// The kernel uses frames again, and a receiver may have changed them: so everything the frame's head says is written
// each time. The payload is zero.
// Source:  kernel Documentation/bpf/bpf_prog_run.rst.
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "send.h"

const volatile struct send_config config = {};

// One thread runs the program, so these need no atomics.
__u64 sent = 0;
__u32 next_flow = 0;
// Pace: 0 sends whenever the program is run.
__u64 interval_ns = 0;
__u64 next_due_ns = 0;

static __always_inline __u16 fold(__u32 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (__u16)sum;
}

// Falls behind by at most this much before it gives up to catch up, so that a pause is not followed by a flood.
#define CATCH_UP_NS 1000000

static __always_inline int is_due(void) {
  const __u64 now = bpf_ktime_get_ns();
  if (now < next_due_ns) return 0;
  const __u64 oldest = now - CATCH_UP_NS;
  next_due_ns = (next_due_ns > oldest ? next_due_ns : oldest) + interval_ns;
  return 1;
}

SEC("xdp")
int millrace_send(struct xdp_md* context) {
  void* data = (void*)(long)context->data;
  void* end = (void*)(long)context->data_end;
  if (data + SEND_HEAD_BYTES > end) return XDP_ABORTED;
  if (interval_ns != 0 && !is_due()) return XDP_DROP;

  const __u32 flow = next_flow;
  next_flow = flow + 1 < config.flows ? flow + 1 : 0;
  const __u16 source = (__u16)(SEND_FIRST_PORT + flow % SEND_PORTS);
  const __u16 destination = (__u16)(config.destination_port + flow / SEND_PORTS);

  __u64* words = data;
  for (int i = 0; i < SEND_HEAD_BYTES / 8; ++i) words[i] = config.head[i];
  __u16* udp = data + (config.udp_offset == 34 ? 34 : 54);
  udp[0] = bpf_htons(source);
  udp[1] = bpf_htons(destination);
  const __u16 checksum = (__u16)~fold(config.checksum_sum + source + destination);
  udp[3] = bpf_htons(checksum == 0 ? 0xffff : checksum);

  ++sent;
  return bpf_redirect(config.interface_index, 0);
}

char kLicense[] SEC("license") = "Apache-2.0";
