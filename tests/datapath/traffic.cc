#include "tests/datapath/traffic.h"

#include <algorithm>

#include "tests/datapath/test_switch.h"

namespace millrace::tests {

Bytes Traffic::from_pod(unsigned self, std::span<const unsigned> others) {
  const unsigned other = others.empty() ? self : others[below(others.size())];
  const Bytes made = frame(pod_mac(self), pod_v4(self), pod_v6(self), other);
  return below(16) == 0 ? damaged(made) : made;
}

Bytes Traffic::from_host(std::span<const unsigned> others) {
  const Bytes made =
      frame(pod_mac(0xff), "198.51.100.7", "2001:db8:1::7", others.empty() ? 1 : others[below(others.size())]);
  return below(16) == 0 ? damaged(made) : made;
}

Bytes Traffic::frame(const std::string& own_mac, const std::string& own_v4, const std::string& own_v6, unsigned other) {
  const auto out = [&] { return eth(own_mac, kGatewayMac); };
  const std::string to_v4 = pod_v4(other), to_v6 = pod_v6(other);
  const auto port = static_cast<std::uint16_t>(below(65536));
  switch (below(20)) {
    case 0: return out().ipv4(own_v4, to_v4).ttl(1).udp(port, 53).bytes();
    case 1: return out().ipv6(own_v6, to_v6).ttl(1).udp(port, 53).bytes();
    case 2: return out().ipv4(own_v4, to_v4).dont_fragment().tcp(port, 80).payload(1400).bytes();
    case 3: return out().ipv4(own_v4, to_v4).udp(port, 80).partial_checksum().payload(1400).bytes();
    case 4: return out().ipv6(own_v6, to_v6).udp(port, 80).payload(1400).bytes();
    case 5:
      return eth(own_mac, kBroadcastMac)
          .arp(1, own_mac, own_v4, "00:00:00:00:00:00", below(2) == 0 ? "169.254.1.1" : to_v4)
          .bytes();
    case 6:
      return eth(own_mac, "33:33:ff:00:00:01")
          .ipv6(own_v6, "ff02::1:ff00:1")
          .ttl(255)
          .neighbor_solicitation("fe80::1", own_mac)
          .bytes();
    case 7: return out().ipv4(own_v4, "169.254.1.1").icmp(8, 0, port, 1).payload(56).bytes();
    case 8: return out().ipv6(own_v6, "fe80::1").icmpv6(128, 0, port, 1).payload(56).bytes();
    case 9: return out().ipv4(own_v4, "203.0.113.9").udp(port, 443).bytes();
    case 10: return out().ipv4(to_v4, own_v4).udp(port, 1).bytes();
    case 11: return out().ipv4(own_v4, "224.0.0.251").udp(port, 5353).bytes();
    case 12:
      return out()
          .ipv4(own_v4, to_v4)
          .fragment(static_cast<std::uint32_t>(below(100) * 8), below(2) == 0)
          .payload(64)
          .bytes();
    case 13:
    case 14: return out().ipv6(own_v6, to_v6).tcp(port, 80).partial_checksum().payload(below(600)).bytes();
    default: return out().ipv4(own_v4, to_v4).tcp(port, 80).partial_checksum().payload(below(600)).bytes();
  }
}

Bytes Traffic::damaged(Bytes frame) {
  switch (below(3)) {
    case 0: return cut(frame, below(frame.size()));
    case 1:
      for (std::uint64_t i = 1 + below(4); i > 0; --i)
        frame[below(std::min<std::size_t>(frame.size(), 80))] = static_cast<std::uint8_t>(below(256));
      return frame;
    default:
      for (std::uint8_t& byte : frame) byte = static_cast<std::uint8_t>(below(256));
      return frame;
  }
}

}  // namespace millrace::tests
