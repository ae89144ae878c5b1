#include "net/checksum.h"

#include <utility>

namespace millrace::net {
namespace {

template <typename T>
T load(const std::uint8_t* bytes) noexcept {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

Sum sum_ipv6(const Ipv6& address) noexcept {
  const auto first = load<std::uint64_t>(address.bytes.data());
  const auto second = load<std::uint64_t>(address.bytes.data() + 8);
  return (first & 0xffffffff) + (first >> 32) + (second & 0xffffffff) + (second >> 32);
}

/// Where the L4 header and its payload lie and where the checksum field is; all bytes from the Ethernet header.
struct L4Region {
  std::uint32_t begin = 0;
  std::uint32_t length_bytes = 0;
  std::uint32_t field = 0;
};

/// A UDP datagram may be shorter than its IP payload; what follows it is not covered (RFC 768, RFC 9868).
std::uint32_t l4_length_bytes(std::span<const std::uint8_t> head, const Headers& headers) noexcept {
  if (headers.l4_protocol == ip_protocol::kUdp) return view<UdpHeader>(head.data() + headers.l4_offset).length.host();
  return headers.l3_offset + headers.l3_length - headers.l4_offset;
}

std::optional<L4Region> l4_region(std::span<const std::uint8_t> head, const Headers& headers) noexcept {
  if (!headers.has_l4 || headers.is_fragment) return std::nullopt;
  L4Region region{.begin = headers.l4_offset, .length_bytes = l4_length_bytes(head, headers)};
  switch (headers.l4_protocol) {
    case ip_protocol::kTcp: region.field = region.begin + offsetof(TcpHeader, checksum); break;
    case ip_protocol::kUdp: region.field = region.begin + offsetof(UdpHeader, checksum); break;
    case ip_protocol::kSctp: region.field = region.begin + offsetof(SctpHeader, checksum); break;
    default: region.field = region.begin + offsetof(IcmpHeader, checksum); break;  // ICMP and ICMPv6
  }
  if (region.begin + region.length_bytes > head.size()) return std::nullopt;
  return region;
}

Sum pseudo_sum(std::span<const std::uint8_t> head, const Headers& headers, std::uint32_t length_bytes) noexcept {
  if (headers.l4_protocol == ip_protocol::kIcmp) return 0;  // RFC 792: none
  const std::uint8_t* l3 = head.data() + headers.l3_offset;
  if (headers.l3 == L3::kIpv4) {
    const auto& ip = view<Ipv4Header>(l3);
    return pseudo_header_sum(ip.source, ip.destination, headers.l4_protocol, static_cast<std::uint16_t>(length_bytes));
  }
  const auto& ip = view<Ipv6Header>(l3);
  return pseudo_header_sum(ip.source, ip.destination, headers.l4_protocol, length_bytes);
}

consteval std::array<std::uint32_t, 256> make_crc32c_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78u : 0u);
    table[i] = value;
  }
  return table;
}

/// Product of two polynomials over GF(2) modulo that of CRC32c, both with the highest power in the lowest bit, as the
/// register has them.
constexpr std::uint32_t multiply_crc32c(std::uint32_t a, std::uint32_t b) noexcept {
  std::uint32_t product = 0;
  for (; a != 0; a <<= 1) {
    product ^= b & (0u - (a >> 31));
    b = (b >> 1) ^ (0x82f63b78u & (0u - (b & 1)));
  }
  return product;
}

/// [k]: x to the power of 8 * 2^k: what 2^k zero bytes do to the register.
consteval std::array<std::uint32_t, 16> make_crc32c_powers() {
  std::array<std::uint32_t, 16> powers{};
  powers[0] = 1u << (31 - 8);
  for (unsigned k = 1; k < powers.size(); ++k) powers[k] = multiply_crc32c(powers[k - 1], powers[k - 1]);
  return powers;
}

}  // namespace

Sum difference(const Ipv6& from, const Ipv6& to) noexcept {
  Sum sum = 0;
  for (unsigned at = 0; at < sizeof(Ipv6); at += 4) {
    sum += Sum{~load<std::uint32_t>(from.bytes.data() + at)} + load<std::uint32_t>(to.bytes.data() + at);
  }
  return sum;
}

Sum sum_bytes(std::span<const std::uint8_t> bytes) noexcept {
  const std::uint8_t* at = bytes.data();
  const std::size_t words = bytes.size() / 8;
  // The two halves of each word go to their own accumulator: no carry can be lost and the loop turns into SIMD.
  Sum low = 0;
  Sum high = 0;
  for (std::size_t i = 0; i < words; ++i) {
    const auto word = load<std::uint64_t>(at + i * 8);
    low += word & 0xffffffff;
    high += word >> 32;
  }
  Sum sum = low + high;
  // In registers: copied into a word and read back, the last bytes cost a call and a failed store forwarding.
  at += words * 8;
  if ((bytes.size() & 4) != 0) sum += load<std::uint32_t>(std::exchange(at, at + 4));
  if ((bytes.size() & 2) != 0) sum += load<std::uint16_t>(std::exchange(at, at + 2));
  if ((bytes.size() & 1) != 0) sum += std::bit_cast<std::uint16_t>(std::array<std::uint8_t, 2>{*at, 0});
  return sum;
}

Sum pseudo_header_sum(const Ipv6& source, const Ipv6& destination, std::uint8_t protocol,
                      std::uint32_t length_bytes) noexcept {
  return sum_ipv6(source) + sum_ipv6(destination) + Be32(length_bytes).raw() + Be32(protocol).raw();
}

bool ipv4_checksum_is_right(const Ipv4Header& header) noexcept {
  return fold(sum_bytes({reinterpret_cast<const std::uint8_t*>(&header), header.header_bytes()})) == 0xffff;
}

void set_ipv4_checksum(Ipv4Header& header) noexcept {
  header.checksum = Be16();
  header.checksum = checksum({reinterpret_cast<const std::uint8_t*>(&header), header.header_bytes()});
}

std::uint32_t crc32c_portable(std::span<const std::uint8_t> bytes, std::uint32_t crc) noexcept {
  static constexpr auto kTable = make_crc32c_table();
  std::uint32_t value = ~crc;
  for (const std::uint8_t byte : bytes) value = kTable[(value ^ byte) & 0xff] ^ (value >> 8);
  return ~value;
}

std::uint32_t crc32c(std::span<const std::uint8_t> bytes, std::uint32_t crc) noexcept {
#if defined(__SSE4_2__) && defined(__x86_64__)
  std::uint64_t value = static_cast<std::uint32_t>(~crc);
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) value = __builtin_ia32_crc32di(value, load<std::uint64_t>(at));
  auto last = static_cast<std::uint32_t>(value);
  for (; left > 0; --left, ++at) last = __builtin_ia32_crc32qi(last, *at);
  return ~last;
#else
  return crc32c_portable(bytes, crc);
#endif
}

Be32 sctp_checksum(std::span<const std::uint8_t> sctp) noexcept {
  constexpr std::size_t kField = offsetof(SctpHeader, checksum);
  constexpr std::array<std::uint8_t, 4> kZero{};
  std::uint32_t crc = crc32c(sctp.first(kField));
  crc = crc32c(kZero, crc);
  crc = crc32c(sctp.subspan(sizeof(SctpHeader)), crc);
  return Be32(byte_swap(crc));
}

Be32 update_sctp_checksum(Be32 old_checksum, Be32 old_ports, Be32 new_ports, std::uint32_t sctp_bytes) noexcept {
  static constexpr auto kPowers = make_crc32c_powers();
  const auto change = std::bit_cast<std::array<std::uint8_t, 4>>(old_ports.raw() ^ new_ports.raw());
  std::uint32_t crc = ~crc32c(change, 0xffffffff);  // from an empty register, not complemented: the linear part alone
  std::uint32_t behind = sctp_bytes - 4;
  for (unsigned k = 0; behind != 0 && k < kPowers.size(); ++k, behind >>= 1) {
    if ((behind & 1) != 0) crc = multiply_crc32c(kPowers[k], crc);
  }
  return Be32(old_checksum.host() ^ byte_swap(crc));
}

bool l4_checksum_is_partial(std::span<const std::uint8_t> head, const Headers& headers) noexcept {
  if (!headers.has_l4 || headers.is_fragment) return false;
  const std::uint8_t* l4 = head.data() + headers.l4_offset;
  Be16 field;
  if (headers.l4_protocol == ip_protocol::kTcp) {
    field = view<TcpHeader>(l4).checksum;
  } else if (headers.l4_protocol == ip_protocol::kUdp) {
    field = view<UdpHeader>(l4).checksum;
  } else {
    return headers.l4_protocol == ip_protocol::kSctp && view<SctpHeader>(l4).checksum == Be32();
  }
  return field.raw() == fold(pseudo_sum(head, headers, l4_length_bytes(head, headers)));
}

bool complete_l4_checksum(std::span<std::uint8_t> head, const Headers& headers) noexcept {
  const auto region = l4_region(head, headers);
  if (!region) return false;
  const auto l4 = head.subspan(region->begin, region->length_bytes);
  if (headers.l4_protocol == ip_protocol::kSctp) {
    view<SctpHeader>(l4.data()).checksum = sctp_checksum(l4);
    return true;
  }
  Be16& field = view<Be16>(head.data() + region->field);
  field = Be16();
  field = finish(pseudo_sum(head, headers, region->length_bytes) + sum_bytes(l4));
  if (headers.l4_protocol == ip_protocol::kUdp && field == Be16()) field = Be16(0xffff);
  return true;
}

bool l4_checksum_is_right(std::span<const std::uint8_t> head, const Headers& headers) noexcept {
  const auto region = l4_region(head, headers);
  if (!region) return false;
  const auto l4 = head.subspan(region->begin, region->length_bytes);
  if (headers.l4_protocol == ip_protocol::kSctp) return view<SctpHeader>(l4.data()).checksum == sctp_checksum(l4);
  if (headers.l4_protocol == ip_protocol::kUdp && view<UdpHeader>(l4.data()).checksum == Be16()) {
    return headers.l3 == L3::kIpv4;
  }
  return finish(pseudo_sum(head, headers, region->length_bytes) + sum_bytes(l4)) == Be16();
}

}  // namespace millrace::net
