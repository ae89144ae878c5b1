#include "net/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace millrace::net {
namespace {

/// The text as an error may show it: short and printable.
std::string quoted(std::string_view text) {
  constexpr std::size_t kMostShown = 64;
  std::string shown = "\"";
  for (const char c : text.substr(0, kMostShown)) shown += c >= 0x20 && c < 0x7f ? c : '?';
  if (text.size() > kMostShown) shown += "...";
  return shown + "\"";
}

/// inet_pton, which is strict, on text that need not end with a zero.
template <int Family, std::size_t Bytes>
bool parse_address(std::string_view text, std::array<std::uint8_t, Bytes>& bytes) {
  std::array<char, INET6_ADDRSTRLEN + 1> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) return false;
  std::memcpy(terminated.data(), text.data(), text.size());
  return inet_pton(Family, terminated.data(), bytes.data()) == 1;
}

std::string format_address(int family, const void* bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  return inet_ntop(family, bytes, text.data(), text.size());
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Mask of byte `index` of a prefix.
std::uint8_t mask_byte(unsigned index, unsigned length_bits) noexcept {
  if (length_bits >= index * 8 + 8) return 0xff;
  if (length_bits <= index * 8) return 0;
  return static_cast<std::uint8_t>(0xff << (8 - (length_bits - index * 8)));
}

}  // namespace

Result<Mac> Mac::parse(std::string_view text) {
  const auto error = [&] {
    return invalid_argument("MAC address " + quoted(text) +
                            ": want six pairs of hexadecimal digits with colons between");
  };
  Mac mac;
  if (text.size() != 17) return error();
  for (std::size_t i = 0; i < 6; ++i) {
    const int high = hex_digit(text[i * 3]);
    const int low = hex_digit(text[i * 3 + 1]);
    if (high < 0 || low < 0 || (i < 5 && text[i * 3 + 2] != ':')) return error();
    mac.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return mac;
}

std::string Mac::to_string() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    if (!text.empty()) text += ':';
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0xf];
  }
  return text;
}

Result<Ipv4> Ipv4::parse(std::string_view text) {
  std::array<std::uint8_t, 4> bytes;
  if (!parse_address<AF_INET>(text, bytes)) {
    return invalid_argument("IPv4 address " + quoted(text) +
                            ": want four decimal numbers of 0 to 255 with dots between");
  }
  Ipv4 address;
  std::memcpy(&address, bytes.data(), bytes.size());
  return address;
}

std::string Ipv4::to_string() const { return format_address(AF_INET, this); }

Result<Ipv6> Ipv6::parse(std::string_view text) {
  Ipv6 address;
  if (!parse_address<AF_INET6>(text, address.bytes)) {
    return invalid_argument("IPv6 address " + quoted(text) +
                            ": want the text form of RFC 4291 section 2.2, without a zone");
  }
  return address;
}

std::string Ipv6::to_string() const { return format_address(AF_INET6, bytes.data()); }

bool Ipv6::is_loopback() const noexcept {
  return bytes[15] == 1 && std::all_of(bytes.begin(), bytes.end() - 1, [](std::uint8_t b) { return b == 0; });
}

bool Ipv6::is_unspecified() const noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.find(':') == std::string_view::npos) {
    const auto address = Ipv4::parse(text);
    if (address) return from(*address);
    return invalid_argument("IP address " + quoted(text) + ": want IPv4 as 192.0.2.1 or IPv6 as 2001:db8::1");
  }
  const auto address = Ipv6::parse(text);
  if (address) return from(*address);
  return address.error();
}

Result<IpAddress> IpAddress::from_bytes(std::span<const std::uint8_t> raw) {
  if (raw.size() != 4 && raw.size() != 16) {
    return invalid_argument("IP address of " + std::to_string(raw.size()) + " bytes: want 4 or 16");
  }
  IpAddress address{.family = static_cast<std::uint8_t>(raw.size() == 4 ? 4 : 6)};
  std::copy(raw.begin(), raw.end(), address.bytes.begin());
  return address;
}

IpAddress IpAddress::from(Ipv4 address) noexcept {
  IpAddress result{.family = 4};
  std::memcpy(result.bytes.data(), &address, sizeof address);
  return result;
}

IpAddress IpAddress::from(const Ipv6& address) noexcept { return {.family = 6, .bytes = address.bytes}; }

Ipv4 IpAddress::v4() const noexcept {
  Ipv4 address;
  std::memcpy(&address, bytes.data(), sizeof address);
  return address;
}

Ipv6 IpAddress::v6() const noexcept { return Ipv6{bytes}; }

std::string IpAddress::to_string() const { return is_v4() ? v4().to_string() : v6().to_string(); }

Result<Prefix> Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) { return invalid_argument("prefix " + quoted(text) + ": want ADDRESS/LENGTH"); }
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return invalid_argument("prefix " + quoted(text) + ": " + address.error().message);
  const std::string_view length_text = text.substr(slash + 1);
  unsigned length_bits = 0;
  const auto [end, error] = std::from_chars(length_text.data(), length_text.data() + length_text.size(), length_bits);
  const bool has_leading_zero = length_text.size() > 1 && length_text[0] == '0';
  if (error != std::errc{} || end != length_text.data() + length_text.size() || has_leading_zero ||
      length_bits > address->bits()) {
    return invalid_argument("prefix " + quoted(text) + ": want a length of 0 to " + std::to_string(address->bits()));
  }
  const Prefix prefix = of(*address, static_cast<std::uint8_t>(length_bits));
  if (prefix.address != *address) {
    return invalid_argument("prefix " + quoted(text) + ": bits behind the prefix are set, want " + prefix.to_string());
  }
  return prefix;
}

Prefix Prefix::of(const IpAddress& address, std::uint8_t length_bits) noexcept {
  const auto length = static_cast<std::uint8_t>(std::min<unsigned>(length_bits, address.bits()));
  Prefix prefix{.address = address, .length_bits = length};
  for (unsigned i = 0; i < prefix.address.bytes.size(); ++i) prefix.address.bytes[i] &= mask_byte(i, length);
  return prefix;
}

bool Prefix::contains(const IpAddress& other) const noexcept {
  return other.family == address.family && of(other, length_bits).address == address;
}

std::string Prefix::to_string() const { return address.to_string() + "/" + std::to_string(length_bits); }

}  // namespace millrace::net
