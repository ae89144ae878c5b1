// Writes one frame of each kind the parser knows, good and bad, into a directory: where the fuzzer starts from.
// Usage: make_parser_corpus DIRECTORY [wrap | offload]; with a word each has in front what uplink_fuzz.cc or
// offload_fuzz.cc reads there.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>

#include "tests/net/packet_builder.h"

namespace {

using namespace millrace::net;
using namespace millrace::tests;

PacketBuilder ip4() { return eth().ipv4("10.0.0.1", "10.0.0.2"); }
PacketBuilder ip6() { return eth().ipv6("fd00::1", "fd00::2"); }
PacketBuilder nd() { return eth().ipv6("fe80::7", "ff02::1:ff00:1").ttl(255); }

std::vector<std::pair<const char*, Bytes>> ipv4_frames() {
  return {
      {"arp-request", eth(kMacA, "ff:ff:ff:ff:ff:ff").arp(1, kMacA, "10.0.0.1", kMacB, "10.0.0.2").bytes()},
      {"arp-probe", eth(kMacA, "ff:ff:ff:ff:ff:ff").arp(1, kMacA, "0.0.0.0", kMacB, "10.0.0.2").bytes()},
      {"arp-reply", eth().arp(2, kMacA, "10.0.0.1", kMacB, "10.0.0.2").bytes()},
      {"udp", ip4().udp(4000, 53).payload(30u).bytes()},
      {"udp-partial", ip4().udp(4000, 53).partial_checksum().payload(30u).bytes()},
      {"udp-no-checksum", ip4().udp(4000, 53).no_checksum().payload(30u).bytes()},
      {"udp-large", ip4().udp(4000, 53).payload(1400u).bytes()},
      {"udp-first-fragment", ip4().fragment(0, true).udp(4000, 53).payload(64u).bytes()},
      {"udp-later-fragment", ip4().fragment(1480, true).protocol(17).payload(64u).bytes()},
      {"udp-last-fragment", ip4().fragment(1480, false).protocol(17).payload(33u).bytes()},
      {"udp-options", ip4().options({148, 4, 0, 0, 68, 8, 5, 0, 0, 0, 0, 0}).udp(1, 2).payload(300u).bytes()},
      {"udp-source-route", ip4().options({131, 7, 4, 10, 0, 0, 9}).udp(1, 2).bytes()},
      {"tcp-syn", ip4().tcp(4000, 80, TcpHeader::kSyn).options({2, 4, 5, 0xb4, 1, 3, 3, 7}).bytes()},
      {"tcp-data", ip4().dont_fragment().tcp(4000, 80).payload(100u).bytes()},
      {"tcp-partial", ip4().tcp(4000, 80).partial_checksum().payload(100u).bytes()},
      {"tcp-tiny-fragment", ip4().fragment(0, true).protocol(6).payload(16u).bytes()},
      {"sctp", ip4().sctp(4000, 80).payload(20u).bytes()},
      {"sctp-partial", ip4().sctp(4000, 80).partial_checksum().payload(20u).bytes()},
      {"echo-request", ip4().icmp(8, 0, 7, 1).payload(56u).bytes()},
      {"icmp-unreachable", ip4().icmp(3, 4, 0, 1400).payload(28u).bytes()},
      {"ttl-1", ip4().ttl(1).udp(1, 2).bytes()},
      {"vlan", eth().vlan(5).ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).bytes()},
      {"qinq", eth().vlan(5, ether_type::kQinQ).vlan(6).ipv6("fd00::1", "fd00::2").udp(1, 2).bytes()},
      {"three-tags", eth().vlan(5).vlan(6).vlan(7).ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).bytes()},
      {"multicast", eth(kMacA, "01:00:5e:00:00:fb").ipv4("10.0.0.1", "224.0.0.251").udp(5353, 5353).bytes()},
      {"gre", ip4().protocol(47).payload(40u).bytes()},
      {"ieee-802.3", patch(patch(eth().payload(46u).bytes(), 12, 0), 13, 46)},
  };
}

std::vector<std::pair<const char*, Bytes>> ipv6_frames() {
  return {
      {"udp6", ip6().udp(4000, 53).payload(30u).bytes()},
      {"udp6-large", ip6().udp(4000, 53).payload(1400u).bytes()},
      {"tcp6", ip6().tcp(4000, 80).payload(30u).bytes()},
      {"tcp6-partial", ip6().tcp(4000, 80).partial_checksum().payload(30u).bytes()},
      {"sctp6", ip6().sctp(4000, 80).payload(20u).bytes()},
      {"echo-request6", ip6().icmpv6(128, 0, 7, 1).payload(56u).bytes()},
      {"packet-too-big6", ip6().icmpv6(2, 0, 0, 1280).payload(48u).bytes()},
      {"solicitation", nd().neighbor_solicitation("fe80::1", kMacA).bytes()},
      {"solicitation-dad", eth().ipv6("::", "ff02::1:ff00:1").ttl(255).neighbor_solicitation("fe80::1").bytes()},
      {"solicitation-unicast", nd().neighbor_solicitation("fe80::1").bytes()},
      {"extensions", ip6().extension(0).extension(60, 16).extension(43, 24).extension(51, 24).udp(1, 2).bytes()},
      {"source-routed6", patch(ip6().extension(43, 24).udp(1, 2).bytes(), 57, 1)},
      {"atomic-fragment6", ip6().ipv6_fragment(0, false).udp(1, 2).bytes()},
      {"first-fragment6", ip6().extension(60).ipv6_fragment(0, true).udp(1, 2).payload(64u).bytes()},
      {"later-fragment6", ip6().ipv6_fragment(1480, false).payload(33u).bytes()},
      {"esp6", ip6().protocol(50).payload(40u).bytes()},
      {"no-next-header6", ip6().protocol(59).bytes()},
      {"multicast6", eth(kMacA, "33:33:00:00:00:fb").ipv6("fe80::7", "ff02::fb").udp(5353, 5353).bytes()},
  };
}

/// What stands before a frame: of corpus/uplink how it is wrapped, of corpus/offload how it comes and what was left to
/// the device (offload_fuzz.cc).
enum class Before { kNothing, kWrapping, kOffload };

Bytes before(Before kind, std::uint8_t number) {
  if (kind == Before::kNothing) return {};
  if (kind == Before::kWrapping) return {static_cast<std::uint8_t>(number % 16)};
  const bool is_cut = number % 4 != 0, is_chained = number % 2 == 0;
  const std::uint8_t gso_high = is_cut ? 1 : 0;  // pieces of 256
  const std::uint8_t head_bytes = number % 3 == 0 ? 200 : 150;
  const auto longer = static_cast<std::uint8_t>(is_cut ? 20 + number : 0);
  return {static_cast<std::uint8_t>(is_chained ? 7 : 3), gso_high, 0, 0, head_bytes, 1, 0, longer};
}

bool write_all(const std::filesystem::path& directory, const std::vector<std::pair<const char*, Bytes>>& frames,
               Before kind) {
  std::uint8_t number = 0;
  for (const auto& [name, frame] : frames) {
    std::ofstream file(directory / name, std::ios::binary);
    for (const std::uint8_t byte : before(kind, number++)) file.put(static_cast<char>(byte));
    for (const std::uint8_t byte : frame) file.put(static_cast<char>(byte));
    if (!file.flush()) {
      std::fprintf(stderr, "%s: cannot be written\n", (directory / name).c_str());
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view word = argc == 3 ? argv[2] : "";
  const Before kind = word == "wrap" ? Before::kWrapping : word == "offload" ? Before::kOffload : Before::kNothing;
  if (argc < 2 || argc > 3 || (argc == 3 && kind == Before::kNothing)) {
    std::fprintf(stderr, "usage: %s DIRECTORY [wrap | offload]\n", argv[0]);
    return 1;
  }
  std::filesystem::create_directories(argv[1]);
  return write_all(argv[1], ipv4_frames(), kind) && write_all(argv[1], ipv6_frames(), kind) ? 0 : 1;
}
