// The XDP program of all AF_XDP ports of a switch: every packet of an interface goes to that interface's socket.
//
// One program for all of them, because the kernel keeps a call list of attached XDP programs and waits for an RCU grace
// period, under the lock of all network configuration, whenever a program of its own comes or goes.
// An interface's slot is its number modulo kSlotCount; user space gives a slot to one interface alone. The kernel itself
// drops packets of another queue or interface than the one the socket is bound to.
// A slot without a socket drops: on a pod's interface a packet that passed would reach the node's own network stack
// and go round the switch and its policy. The program takes no fragments (xdp.frags), so the kernel keeps packets
// within one frame and the other side of a veth segments for itself.
// Source:  kernel Documentation/networking/af_xdp.rst, "XSKMAP"; net/xdp/xsk.c (xsk_rcv_check);
//          kernel/bpf/dispatcher.c (bpf_dispatcher_change_prog).
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum { kSlotCount = 65536 };  // a power of two

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, kSlotCount);
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

SEC("xdp")
int millrace_port(struct xdp_md* context) {
  return bpf_redirect_map(&sockets, context->ingress_ifindex & (kSlotCount - 1), XDP_DROP);
}

char kLicense[] SEC("license") = "Apache-2.0";
