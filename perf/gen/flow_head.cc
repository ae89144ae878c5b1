#include "perf/gen/flow_head.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <span>

#include "net/wire.h"

namespace millrace::perf::gen {
namespace {

using net::Be16;
using net::Be32;

constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kHops = 64;

net::Result<void> check(const FlowOptions& options) {
  if (options.frame_bytes < kMinXdpFrameBytes || options.frame_bytes > kMaxXdpFrameBytes) {
    return net::invalid_argument(fmt::format("--size {}: {} to {} bytes are possible", options.frame_bytes,
                                             kMinXdpFrameBytes, kMaxXdpFrameBytes));
  }
  if (options.flows == 0 || options.flows > kMaxXdpFlows) {
    return net::invalid_argument(fmt::format("--flows {}: 1 to {} are possible", options.flows, kMaxXdpFlows));
  }
  const std::uint32_t last_port = options.destination_port + (options.flows - 1) / SEND_PORTS;
  if (last_port > 65535) {
    return net::invalid_argument(fmt::format("--flows {}: {} source ports from destination port {} on do not suffice",
                                             options.flows, SEND_PORTS, options.destination_port));
  }
  if (options.source_ip.family != options.destination_ip.family) {
    return net::invalid_argument("--source-ip and --destination-ip are of different families");
  }
  return {};
}

/// Sum of the 16-bit big-endian words of `bytes`, an even number of them.
std::uint32_t sum_words(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  return sum;
}

std::uint16_t fold(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

void put_ipv4(std::uint8_t* at, const FlowOptions& options, std::uint16_t l3_bytes) {
  auto& ip = net::view<net::Ipv4Header>(at);
  ip.version_ihl = 0x45;
  ip.total_length = Be16(l3_bytes);
  ip.flags_offset = Be16(net::Ipv4Header::kDontFragment);
  ip.ttl = kHops;
  ip.protocol = kUdp;
  ip.source = options.source_ip.v4();
  ip.destination = options.destination_ip.v4();
  ip.checksum = Be16(static_cast<std::uint16_t>(~fold(sum_words({at, sizeof ip}))));
}

void put_ipv6(std::uint8_t* at, const FlowOptions& options, std::uint16_t l3_bytes) {
  auto& ip = net::view<net::Ipv6Header>(at);
  at[0] = 0x60;
  ip.payload_length = Be16(static_cast<std::uint16_t>(l3_bytes - sizeof ip));
  ip.next_header = kUdp;
  ip.hop_limit = kHops;
  ip.source = options.source_ip.v6();
  ip.destination = options.destination_ip.v6();
}

}  // namespace

net::Result<send_config> make_flow_head(const FlowOptions& options) {
  if (auto checked = check(options); !checked) return checked.error();
  std::array<std::uint8_t, SEND_HEAD_BYTES> bytes{};
  std::uint8_t* const head = bytes.data();
  const bool v4 = options.source_ip.is_v4();

  auto& ethernet = net::view<net::EthernetHeader>(head);
  ethernet.destination = options.destination_mac;
  ethernet.source = options.source_mac;
  ethernet.type = v4 ? net::ether_type::kIpv4 : net::ether_type::kIpv6;
  const auto l3_bytes = static_cast<std::uint16_t>(options.frame_bytes - sizeof ethernet);
  std::uint8_t* const l3 = head + sizeof ethernet;
  if (v4)
    put_ipv4(l3, options, l3_bytes);
  else
    put_ipv6(l3, options, l3_bytes);

  const std::size_t ip_bytes = v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
  send_config config{};
  config.udp_offset = static_cast<std::uint16_t>(sizeof ethernet + ip_bytes);
  const auto udp_bytes = static_cast<std::uint16_t>(l3_bytes - ip_bytes);
  net::view<net::UdpHeader>(l3 + ip_bytes).length = Be16(udp_bytes);
  std::memcpy(config.head, head, sizeof config.head);
  // Pseudo header (addresses, protocol, length) and the UDP length once more; the payload is zero.
  config.checksum_sum =
      sum_words(options.source_ip.raw()) + sum_words(options.destination_ip.raw()) + kUdp + udp_bytes + udp_bytes;
  config.flows = options.flows;
  config.destination_port = options.destination_port;
  return config;
}

}  // namespace millrace::perf::gen
