#include "tests/net/uplink_rows.h"

namespace millrace::tests::uplink {
namespace {

constexpr std::uint8_t kSyn = net::TcpHeader::kSyn;

/// An ICMP error about a packet, in the answer to which `inside` is quoted without its Ethernet header.
Bytes error_about(const Bytes& inside) {
  return eth().ipv4(kWorld, kNode).icmp(3, 4).payload(Bytes(inside.begin() + 14, inside.end())).bytes();
}
Bytes error6_about(const Bytes& inside) {
  return eth().ipv6(kWorld6, kNode6).icmpv6(2).payload(Bytes(inside.begin() + 14, inside.end())).bytes();
}

}  // namespace

std::vector<Row> rows() {
  return {
      {"TCP to a masquerade port", eth().ipv4(kWorld, kNode).tcp(443, 40960).bytes(), "switch"},
      {"UDP to the last masquerade port", eth().ipv4(kWorld, kNode).udp(53, 65535).bytes(), "switch"},
      {"SCTP to a masquerade port", eth().ipv4(kWorld, kNode).sctp(5000, 50000).bytes(), "switch"},
      {"UDP to a port below", eth().ipv4(kWorld, kNode).udp(53, 40959).bytes(), "kernel"},
      {"a masquerade port of another address", eth().ipv4(kWorld, "192.0.2.3").udp(53, 40960).bytes(), "kernel"},
      {"IPv6 to a masquerade port", eth().ipv6(kWorld6, kNode6).udp(53, 41000).bytes(), "switch"},
      {"IPv6 to a port below", eth().ipv6(kWorld6, kNode6).udp(53, 22).bytes(), "kernel"},
      {"IPv6 behind other headers", eth().ipv6(kWorld6, kNode6).extension(0).extension(60, 24).tcp(443, 41000).bytes(),
       "switch"},
      {"a node port", eth().ipv4(kWorld, kNode).tcp(4000, 30500, kSyn).bytes(), "switch"},
      {"a node port of another protocol", eth().ipv4(kWorld, kNode).udp(4000, 30500).bytes(), "kernel"},
      {"a node port of IPv6", eth().ipv6(kWorld6, kNode6).tcp(4000, 30500, kSyn).bytes(), "switch"},
      {"an external address", eth().ipv4(kWorld, kExternal).udp(4000, 53).bytes(), "switch"},
      {"another port of it", eth().ipv4(kWorld, kExternal).udp(4000, 54).bytes(), "kernel"},
      {"SSH", eth().ipv4(kWorld, kNode).tcp(4000, 22, kSyn).bytes(), "kernel"},
      {"ping of the node", eth().ipv4(kWorld, kNode).icmp(8, 0, 50000, 1).bytes(), "kernel"},
      {"answer to a pod's ping", eth().ipv4(kWorld, kNode).icmp(0, 0, 50000, 1).bytes(), "switch"},
      {"answer to a ping of the node", eth().ipv4(kWorld, kNode).icmp(0, 0, 1000, 1).bytes(), "kernel"},
      {"answer to a pod's ping, IPv6", eth().ipv6(kWorld6, kNode6).icmpv6(129, 0, 50000, 1).bytes(), "switch"},
      {"neighbour solicitation", eth().ipv6(kWorld6, kNode6).neighbor_solicitation(kNode6).bytes(), "kernel"},
      {"error about a masqueraded packet", error_about(eth().ipv4(kNode, kWorld).udp(50000, 53).bytes()), "switch"},
      {"error about a masqueraded ping", error_about(eth().ipv4(kNode, kWorld).icmp(8, 0, 50000).bytes()), "switch"},
      {"error about an answer of a node port", error_about(eth().ipv4(kNode, kWorld).tcp(30500, 4000).bytes()),
       "switch"},
      {"error about a packet of the node", error_about(eth().ipv4(kNode, kWorld).udp(1000, 53).bytes()), "kernel"},
      {"error about a packet of somebody else", error_about(eth().ipv4(kWorld, kNode).udp(50000, 53).bytes()),
       "kernel"},
      {"packet too big, IPv6", error6_about(eth().ipv6(kNode6, kWorld6).tcp(41000, 80).bytes()), "switch"},
      {"packet too big of the node's", error6_about(eth().ipv6(kNode6, kWorld6).tcp(1000, 80).bytes()), "kernel"},
      {"VXLAN", eth().ipv4(kWorld, kVtep).udp(50000, 4789).bytes(), "switch"},
      {"VXLAN over IPv6", eth().ipv6(kWorld6, kVtep6).udp(50000, 4789).bytes(), "switch"},
      {"the port of VXLAN at another address", eth().ipv4(kWorld, kNode).udp(1000, 4789).bytes(), "kernel"},
      {"another port of the VTEP", eth().ipv4(kWorld, kVtep).udp(50000, 4790).bytes(), "kernel"},
      {"another port of the VTEP, IPv6", eth().ipv6(kWorld6, kVtep6).udp(50000, 8472).bytes(), "kernel"},
      {"TCP to the port of VXLAN", eth().ipv4(kWorld, kVtep).tcp(4000, 4789, kSyn).bytes(), "kernel"},
      {"a pod of this node", eth().ipv4(kWorld, "10.244.1.7").tcp(4000, 80, kSyn).bytes(), "switch"},
      {"a ping of a pod of this node", eth().ipv4(kWorld, "10.244.1.255").icmp(8, 0, 7, 1).bytes(), "switch"},
      {"a pod of another node", eth().ipv4(kWorld, "10.244.2.7").tcp(4000, 80, kSyn).bytes(), "kernel"},
      {"a pod of this node, IPv6", eth().ipv6(kWorld6, "fd00:1::7").icmpv6(128).bytes(), "switch"},
      {"a pod of another node, IPv6", eth().ipv6(kWorld6, "fd00:1:0:1::7").icmpv6(128).bytes(), "kernel"},
      {"a later fragment to a pod of this node",
       eth().ipv4(kWorld, "10.244.1.7").fragment(32, false, 5).protocol(17).payload(24).bytes(), "switch"},
      {"ARP", eth().arp(1, kMacA, kWorld, "00:00:00:00:00:00", kNode).bytes(), "kernel"},
      {"broadcast frame", eth(kMacA, "ff:ff:ff:ff:ff:ff").ipv4(kWorld, kNode).udp(53, 40960).bytes(), "kernel"},
      {"cut short in the ports", cut(eth().ipv4(kWorld, kNode).udp(53, 40960).bytes(), 36), "kernel"},
      {"another protocol", eth().ipv4(kWorld, kNode).protocol(47).payload(20).bytes(), "kernel"},
  };
}

std::vector<Row> fragment_rows() {
  const auto first = [](std::uint16_t port, std::uint16_t id) {
    return eth().ipv4(kWorld, kNode).fragment(0, true, id).udp(53, port).payload(24).bytes();
  };
  const auto later = [](std::uint16_t id) {
    return eth().ipv4(kWorld, kNode).fragment(32, false, id).protocol(17).payload(24).bytes();
  };
  const Bytes vxlan = eth().ipv4(kWorld, kVtep).fragment(0, true, 3).udp(50000, 4789).payload(24).bytes();
  const Bytes vxlan_later = eth().ipv4(kWorld, kVtep).fragment(32, false, 3).protocol(17).payload(24).bytes();
  const Bytes pong = eth().ipv4(kWorld, kNode).fragment(0, true, 4).icmp(0, 0, 50000, 1).payload(24).bytes();
  const Bytes pong_later = eth().ipv4(kWorld, kNode).fragment(32, false, 4).protocol(1).payload(24).bytes();
  const Bytes gre_later = eth().ipv4(kWorld, kNode).fragment(32, false, 5).protocol(47).payload(24).bytes();
  const Bytes first6 = eth().ipv6(kWorld6, kNode6).ipv6_fragment(0, true, 9).udp(53, 50000).payload(24).bytes();
  const Bytes later6 = eth().ipv6(kWorld6, kNode6).ipv6_fragment(32, false, 9).payload(24).bytes();
  return {
      {"nothing is known of it", later(1), "kernel"},
      {"first to a masquerade port", first(50000, 1), "switch"},
      {"behind that", later(1), "switch"},
      {"of another packet", later(2), "kernel"},
      {"first to a port of the node", first(1000, 2), "kernel"},
      {"behind that", later(2), "kernel"},
      {"the identification comes again, for the node", first(1000, 1), "kernel"},
      {"behind that", later(1), "kernel"},
      {"first of VXLAN, to be refused and counted", vxlan, "switch"},
      {"behind that", vxlan_later, "switch"},
      {"answer to a pod's large ping", pong, "switch"},
      {"behind that", pong_later, "switch"},
      {"of a protocol without ports", gre_later, "kernel"},
      {"IPv6, nothing is known of it", later6, "kernel"},
      {"IPv6, first", first6, "switch"},
      {"IPv6, behind that", later6, "switch"},
  };
}

}  // namespace millrace::tests::uplink
