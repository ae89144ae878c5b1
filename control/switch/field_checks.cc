#include "control/switch/field_checks.h"

#include <fmt/core.h>

#include <cctype>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>

#include "control/switch/port_config.h"

namespace millrace::control::switchd {
namespace {

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || (c != '\0' && std::strchr("_.:/-", c) != nullptr);
}

/// Bytes of the UTF-8 sequence that `lead` begins; 0 when it begins none. Source: RFC 3629 section 4.
unsigned sequence_length(std::uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  if (lead >= 0xf0 && lead < 0xf5) return 4;
  return 0;
}

struct CodePoint {
  std::uint32_t value = 0;
  unsigned bytes = 0;
};

/// The code point at `text[at]`; nullopt when it is not valid UTF-8: overlong, a surrogate, too large or cut short.
std::optional<CodePoint> decode(const std::string& text, std::size_t at) {
  constexpr std::uint32_t kSmallest[5] = {0, 0, 0x80, 0x800, 0x10000};
  const auto lead = static_cast<std::uint8_t>(text[at]);
  const unsigned length = sequence_length(lead);
  if (length == 0 || at + length > text.size()) return std::nullopt;
  std::uint32_t value = length == 1 ? lead : lead & (0xffu >> (length + 1));
  for (unsigned i = 1; i < length; ++i) {
    const auto next = static_cast<std::uint8_t>(text[at + i]);
    if ((next & 0xc0) != 0x80) return std::nullopt;
    value = value << 6 | (next & 0x3fu);
  }
  const bool surrogate = value >= 0xd800 && value < 0xe000;
  if (value < kSmallest[length] || value > 0x10ffff || surrogate) return std::nullopt;
  return CodePoint{value, length};
}

std::span<const std::uint8_t> as_bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

net::Result<net::IpAddress> address_of(const std::string& field, const std::string& bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) {
    return net::invalid_argument(fmt::format("{}: {} bytes; allowed: 4 (IPv4) or 16 (IPv6)", field, bytes.size()));
  }
  return net::IpAddress::from_bytes(as_bytes(bytes));
}

bool is_unicast(const net::IpAddress& address) {
  if (address.is_v4()) {
    const net::Ipv4 v4 = address.v4();
    return !v4.is_multicast() && !v4.is_broadcast() && !v4.is_loopback() && !v4.is_unspecified();
  }
  const net::Ipv6 v6 = address.v6();
  return !v6.is_multicast() && !v6.is_loopback() && !v6.is_unspecified();
}

}  // namespace

net::Result<std::string> check_name(const std::string& field, const std::string& text) {
  if (text.empty() || text.size() > kNameLimit) {
    return net::invalid_argument(fmt::format("{}: {} characters; allowed: 1..{}", field, text.size(), kNameLimit));
  }
  for (const char c : text) {
    if (is_name_character(c)) continue;
    return net::invalid_argument(fmt::format("{}: character 0x{:02x}; allowed: letters, digits and _ . : / -", field,
                                             static_cast<unsigned char>(c)));
  }
  return text;
}

net::Result<std::string> check_interface(const std::string& field, const std::string& text) {
  if (text.empty() || text.size() > kInterfaceLimit) {
    return net::invalid_argument(fmt::format("{}: {} characters; allowed: 1..{}", field, text.size(), kInterfaceLimit));
  }
  for (const char c : text) {
    if (std::isgraph(static_cast<unsigned char>(c)) != 0 && c != '/' && c != ':') continue;
    return net::invalid_argument(
        fmt::format("{}: character 0x{:02x}; allowed: printable ASCII without '/', ':' and space", field,
                    static_cast<unsigned char>(c)));
  }
  if (text == "." || text == "..")
    return net::invalid_argument(fmt::format("{}: \"{}\" names no interface", field, text));
  return text;
}

net::Result<void> check_socket_path(const std::string& field, const std::string& text) {
  const std::string allowed = fmt::format(
      "allowed: an absolute path of 2..{} bytes of UTF-8 without control characters, with no . .. or // in it and no / "
      "at its end",
      kSocketPathLimit);
  if (text.size() > kSocketPathLimit) {
    return net::invalid_argument(fmt::format("{}: {} bytes; {}", field, text.size(), allowed));
  }
  const bool is_plain = check_text(field, text, kSocketPathLimit).ok();
  const bool is_shortest = is_plain && text.size() > 1 && text.front() == '/' && text.back() != '/' &&
                           std::filesystem::path(text).lexically_normal().native() == text;
  if (is_shortest) return {};
  return net::invalid_argument(fmt::format("{}: {}; {}", field, quoted(text), allowed));
}

net::Result<void> check_text(const std::string& field, const std::string& text, std::size_t limit) {
  std::size_t characters = 0;
  for (std::size_t at = 0; at < text.size(); ++characters) {
    const auto code = decode(text, at);
    if (!code) return net::invalid_argument(fmt::format("{}: byte {} is not valid UTF-8", field, at));
    if (code->value < 0x20 || (code->value >= 0x7f && code->value < 0xa0)) {
      return net::invalid_argument(fmt::format("{}: control character 0x{:02x} at byte {}", field, code->value, at));
    }
    at += code->bytes;
  }
  if (characters > limit) {
    return net::invalid_argument(fmt::format("{}: {} characters; allowed: at most {}", field, characters, limit));
  }
  return {};
}

net::Result<void> check_label(const std::string& field, const std::string& text, std::size_t limit) {
  if (text.empty()) return net::invalid_argument(fmt::format("{}: empty; allowed: 1..{} characters", field, limit));
  return check_text(field, text, limit);
}

std::string quoted(const std::string& text) {
  constexpr std::size_t kShownBytes = 120;
  std::string shown = text.substr(0, kShownBytes);
  for (char& c : shown) c = c >= 0x20 && c < 0x7f ? c : '?';
  return fmt::format("\"{}{}\"", shown, text.size() > kShownBytes ? "..." : "");
}

net::Result<std::string> check_description(const std::string& field, const std::string& text) {
  if (auto checked = check_text(field, text, kDescriptionLimit); !checked) return checked.error();
  return text;
}

net::Result<net::Mac> check_mac(const std::string& field, const std::string& bytes) {
  if (bytes.size() != 6) return net::invalid_argument(fmt::format("{}: {} bytes; allowed: 6", field, bytes.size()));
  net::Mac mac;
  std::memcpy(mac.bytes.data(), bytes.data(), 6);
  if (mac.is_multicast() || mac == net::Mac{}) {
    return net::invalid_argument(fmt::format("{}: {}; allowed: a unicast address", field, mac.to_string()));
  }
  return mac;
}

net::Result<net::IpAddress> check_unicast(const std::string& field, const std::string& bytes) {
  auto address = address_of(field, bytes);
  if (address && !is_unicast(*address)) {
    return net::invalid_argument(
        fmt::format("{}: {}; allowed: a unicast address, not loopback, not unspecified", field, address->to_string()));
  }
  return address;
}

net::Result<net::Prefix> check_prefix(const std::string& field, const std::string& bytes, std::uint32_t length_bits) {
  auto address = address_of(field + ".address", bytes);
  if (!address) return address.error();
  if (length_bits > address->bits()) {
    return net::invalid_argument(fmt::format("{}.length: {}; allowed: 0..{}", field, length_bits, address->bits()));
  }
  const net::Prefix prefix = net::Prefix::of(*address, static_cast<std::uint8_t>(length_bits));
  if (prefix.address != *address) {
    return net::invalid_argument(fmt::format("{}: {}/{} has bits beyond its length; allowed: {}", field,
                                             address->to_string(), length_bits, prefix.to_string()));
  }
  return prefix;
}

net::Error within(const std::string& outer, const net::Error& error) {
  return {error.code, fmt::format("{}.{}", outer, error.message)};
}

}  // namespace millrace::control::switchd
