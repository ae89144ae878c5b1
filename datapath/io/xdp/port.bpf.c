// The XDP program of an AfXdpPort: every packet of the queue goes to the socket of that queue.
//
// A queue without a socket drops: on a pod's interface a packet that passed would reach the node's own network stack
// and go round the switch and its policy. The program takes no fragments (xdp.frags), so the kernel keeps packets
// within one frame and the other side of a veth segments for itself.
// Source:  kernel Documentation/networking/af_xdp.rst, "XSKMAP".
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, 1);  // set to queue + 1 before the program is loaded
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

SEC("xdp")
int millrace_port(struct xdp_md* context) {
  return bpf_redirect_map(&sockets, context->rx_queue_index, XDP_DROP);
}

char kLicense[] SEC("license") = "Apache-2.0";
