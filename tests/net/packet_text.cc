#include <sstream>

#include "net/checksum.h"
#include "net/parser.h"
#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;

void describe_arp(std::ostream& out, const ArpPacket& arp) {
  out << "arp operation " << arp.operation.host() << "\n  sender " << arp.sender_mac.to_string() << ' '
      << arp.sender_ip.to_string() << "\n  target " << arp.target_mac.to_string() << ' ' << arp.target_ip.to_string()
      << '\n';
}

void describe_ipv4(std::ostream& out, const Ipv4Header& ip) {
  out << "ipv4 " << ip.source.to_string() << " > " << ip.destination.to_string() << "\n  ttl " << unsigned{ip.ttl}
      << "\n  protocol " << unsigned{ip.protocol} << "\n  header " << unsigned{ip.header_bytes()} << " total "
      << ip.total_length.host() << "\n  tos " << unsigned{ip.tos} << " id " << ip.id.host()
      << (ip.dont_fragment() ? " DF" : "") << (ip.more_fragments() ? " MF" : "") << " offset " << ip.offset_bytes()
      << "\n  checksum " << (ipv4_checksum_is_right(ip) ? "right" : "wrong") << '\n';
}

void describe_ipv6(std::ostream& out, const Ipv6Header& ip) {
  out << "ipv6 " << ip.source.to_string() << " > " << ip.destination.to_string() << "\n  hop limit "
      << unsigned{ip.hop_limit} << "\n  next header " << unsigned{ip.next_header} << "\n  payload "
      << ip.payload_length.host() << '\n';
}

void describe_l4(std::ostream& out, std::span<const std::uint8_t> frame, const Headers& headers) {
  out << "l4 protocol " << unsigned{headers.l4_protocol} << " at " << headers.l4_offset;
  if (!headers.has_l4) {
    out << (headers.is_fragment ? " (later fragment)\n" : " (not parsed)\n");
    return;
  }
  out << "\n  ports " << headers.source_port << " > " << headers.destination_port << "\n  icmp "
      << unsigned{headers.icmp_type} << '/' << unsigned{headers.icmp_code};
  if (headers.is_fragment) {
    out << "\n  checksum of a fragment";
  } else if (l4_checksum_is_right(frame, headers)) {
    out << "\n  checksum right";
  } else {
    out << "\n  checksum " << (l4_checksum_is_partial(frame, headers) ? "partial" : "wrong");
  }
  out << '\n';
}

}  // namespace

std::string describe(std::span<const std::uint8_t> frame) {
  std::ostringstream out;
  Headers headers;
  const Drop drop = parse(frame, static_cast<std::uint32_t>(frame.size()), headers);
  if (const auto* ethernet = at<EthernetHeader>(frame, 0)) {
    out << "ethernet " << ethernet->source.to_string() << " > " << ethernet->destination.to_string() << '\n';
  }
  if (headers.vlan_count != 0) out << "vlan " << headers.vlan_id << " of " << unsigned{headers.vlan_count} << " tags\n";
  if (drop != Drop::kNone) {
    out << "drop " << drop_name(drop) << '\n';
    return out.str();
  }
  const std::uint8_t* l3 = frame.data() + headers.l3_offset;
  if (headers.l3 == L3::kArp) describe_arp(out, view<ArpPacket>(l3));
  if (headers.l3 == L3::kIpv4) describe_ipv4(out, view<Ipv4Header>(l3));
  if (headers.l3 == L3::kIpv6) describe_ipv6(out, view<Ipv6Header>(l3));
  if (headers.l3 == L3::kArp) return out.str();
  describe_l4(out, frame, headers);
  out << "payload";
  constexpr std::string_view kDigits = "0123456789abcdef";
  const std::size_t end = std::min<std::size_t>(frame.size(), headers.l3_offset + headers.l3_length);
  for (std::size_t i = headers.payload_offset; i < end; ++i) {
    out << ((i - headers.payload_offset) % 32 == 0 ? "\n  " : "") << kDigits[frame[i] >> 4] << kDigits[frame[i] & 15];
  }
  out << '\n';
  return out.str();
}

}  // namespace millrace::tests
