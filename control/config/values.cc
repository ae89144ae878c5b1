#include "control/config/values.h"

#include <algorithm>
#include <charconv>
#include <regex>

#include <fmt/format.h>

#include "control/names/syntax.h"

namespace millrace::control::config {

namespace {

constexpr std::size_t kShownBytes = 40;
constexpr std::size_t kSunPathBytes = 108;  // unix(7)
constexpr std::size_t kPathBytes = 1024;

/// "" when the node is one plain or quoted value; otherwise what it is instead.
std::string want_scalar(const YAML::Node& node, std::string_view wanted) {
  if (node.IsScalar()) return "";
  if (node.IsSequence()) return fmt::format("is a list, not {}", wanted);
  if (node.IsMap()) return fmt::format("is a map, not {}", wanted);
  return "has no value";
}

/// yaml-cpp gives a scalar in quotes the tag "!".
bool is_quoted(const YAML::Node& node) { return node.Tag() == "!"; }

bool is_path_text(std::string_view path) {
  return std::ranges::all_of(path, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._/-+@").find(c) != std::string_view::npos;
  });
}

bool has_dot_dot(std::string_view path) {
  const std::string wrapped = fmt::format("{}/", path);
  return wrapped.find("/../") != std::string::npos;
}

bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/// Addresses that no gateway and no pool may have. `first` is the pool's first address.
std::string not_unicast(const net::IpAddress& address) {
  const std::string text = address.to_string();
  if (address.is_v4()) {
    const net::Ipv4 v4 = address.v4();
    if ((v4.value.host() >> 24) == 0) return fmt::format("{} is in 0.0.0.0/8", text);
    if (v4.is_loopback()) return fmt::format("{} is a loopback address", text);
    if (v4.is_multicast()) return fmt::format("{} is a multicast address", text);
    if ((v4.value.host() >> 28) == 0xf) return fmt::format("{} is in the reserved range 240.0.0.0/4", text);
    return "";
  }
  const net::Ipv6 v6 = address.v6();
  if (v6.is_unspecified()) return fmt::format("{} is the unspecified address", text);
  if (v6.is_loopback()) return fmt::format("{} is the loopback address", text);
  if (v6.is_multicast()) return fmt::format("{} is a multicast address", text);
  return "";
}

/// What a prefix with bits behind its length was likely meant to be, or "".
std::string prefix_hint(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return "";
  const auto address = net::IpAddress::parse(std::string_view(text).substr(0, slash));
  const char* last = text.data() + text.size();
  std::uint8_t bits = 0;
  const auto [end, error] = std::from_chars(text.data() + slash + 1, last, bits);
  if (!address || error != std::errc{} || end != last || bits > address->bits()) return "";
  return fmt::format(", bits behind its length are set; is {} meant", net::Prefix::of(*address, bits).to_string());
}

}  // namespace

std::string Range::to_string() const { return fmt::format("{}..{}", min, max); }

std::string shown(std::string_view value) {
  std::string out = "\"";
  for (const char c : value.substr(0, kShownBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    out += (byte < 0x20 || byte >= 0x7f) ? '?' : c;
  }
  if (value.size() > kShownBytes) out += "...";
  return out + "\"";
}

std::string joined(const std::vector<std::string_view>& names, std::string_view separator) {
  std::string out;
  for (const std::string_view name : names) {
    if (!out.empty()) out += separator;
    out += name;
  }
  return out;
}

std::string read_text(const YAML::Node& node, std::string& out) {
  if (auto wrong = want_scalar(node, "text"); !wrong.empty()) return wrong;
  out = node.Scalar();
  return "";
}

std::string read_integer(const YAML::Node& node, Range range, std::uint32_t& out) {
  if (auto wrong = want_scalar(node, "an integer"); !wrong.empty()) return wrong;
  const std::string& text = node.Scalar();
  if (is_quoted(node)) return fmt::format("{} is text in quotes, not an integer", shown(text));
  const char* first = text.data();
  const char* last = first + text.size();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(first, last, value);
  if (end != last || error == std::errc::invalid_argument) return fmt::format("{} is not an integer", shown(text));
  if (error != std::errc{} || value < range.min || value > range.max) {
    return fmt::format("{} is out of range", text.substr(0, kShownBytes));
  }
  out = static_cast<std::uint32_t>(value);
  return "";
}

std::string read_boolean(const YAML::Node& node, bool& out) {
  if (auto wrong = want_scalar(node, "true or false"); !wrong.empty()) return wrong;
  const std::string& text = node.Scalar();
  if (is_quoted(node)) return fmt::format("{} is text in quotes, not true or false", shown(text));
  if (text != "true" && text != "false") return fmt::format("{} is not true or false", shown(text));
  out = text == "true";
  return "";
}

std::string read_choice(const YAML::Node& node, const std::vector<std::string_view>& names, std::size_t& out) {
  if (auto wrong = want_scalar(node, "text"); !wrong.empty()) return wrong;
  const auto found = std::ranges::find(names, node.Scalar());
  if (found == names.end()) return fmt::format("{} is not one of them", shown(node.Scalar()));
  out = static_cast<std::size_t>(found - names.begin());
  return "";
}

std::string read_integers(const YAML::Node& node, Range range, std::size_t limit, std::vector<std::uint32_t>& out) {
  if (!node.IsSequence()) {
    if (node.IsNull()) return "has no value";
    return node.IsMap() ? "is a map, not a list" : fmt::format("{} is not a list", shown(node.Scalar()));
  }
  if (node.size() > limit) return fmt::format("has {} entries", node.size());
  out.clear();
  for (const YAML::Node& entry : node) {
    std::uint32_t value = 0;
    if (auto wrong = read_integer(entry, range, value); !wrong.empty()) {
      return fmt::format("entry {}: {}", out.size() + 1, wrong);
    }
    if (std::ranges::find(out, value) != out.end()) return fmt::format("{} is named twice", value);
    out.push_back(value);
  }
  return "";
}

std::string read_path(const YAML::Node& node, std::string& out) {
  std::string path;
  if (auto wrong = read_text(node, path); !wrong.empty()) return wrong;
  if (path.empty() || path[0] != '/') return fmt::format("{} is not an absolute path", shown(path));
  if (path.size() > kPathBytes) return fmt::format("is {} bytes long", path.size());
  if (!is_path_text(path)) return fmt::format("{} has a character that is not allowed", shown(path));
  if (has_dot_dot(path)) return fmt::format("{} leads upwards with \"..\"", shown(path));
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (path == "/") return "is the root directory";
  out = path;
  return "";
}

std::string read_path_or_none(const YAML::Node& node, std::string& out) {
  if (!node.IsScalar() || node.Scalar() != "none") return read_path(node, out);
  out.clear();
  return "";
}

std::string read_key_prefix(const YAML::Node& node, std::size_t limit, std::string& out) {
  std::string prefix;
  if (auto wrong = read_text(node, prefix); !wrong.empty()) return wrong;
  if (prefix.size() < 2 || prefix.front() != '/' || prefix.back() != '/') {
    return fmt::format("{} has not / at both ends", shown(prefix));
  }
  if (prefix.size() > limit) return fmt::format("is {} bytes long", prefix.size());
  if (!is_path_text(prefix)) return fmt::format("{} has a character that is not allowed", shown(prefix));
  out = prefix;
  return "";
}

std::string read_user(const YAML::Node& node, std::size_t limit, std::string& out) {
  std::string user;
  if (auto wrong = read_text(node, user); !wrong.empty()) return wrong;
  if (user.empty()) return "is empty";
  if (user.size() > limit) return fmt::format("is {} characters long", user.size());
  out = user == "none" ? "" : user;
  return "";
}

std::string read_socket_dir(const YAML::Node& node, std::string& out) {
  std::string path;
  if (auto wrong = read_path(node, path); !wrong.empty()) return wrong;
  const std::size_t socket_bytes = path.size() + std::string_view("/switch.sock").size() + 1;
  if (socket_bytes > kSunPathBytes) {
    return fmt::format("is {} bytes long, too long for the path of a unix socket in it", path.size());
  }
  out = path;
  return "";
}

std::string read_interface(const YAML::Node& node, std::size_t limit, bool may_be_empty, std::string& out) {
  std::string name;
  if (auto wrong = read_text(node, name); !wrong.empty()) return wrong;
  if (name.empty() && !may_be_empty) return "is empty";
  if (name.size() > limit) return fmt::format("{} is {} characters long", shown(name), name.size());
  const bool fits = std::ranges::all_of(
      name, [](char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-'; });
  if (!fits || name == "." || name == "..") return fmt::format("{} is not a name of an interface", shown(name));
  out = name;
  return "";
}

std::string read_device(const YAML::Node& node, std::string& out) {
  constexpr std::size_t kLimit = 255;
  static const std::regex pci("([0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\\.[0-7](,[!-~]*)?");
  static const std::regex driver("(net_[a-z0-9_]+|vhost-user)(,[!-~]*)?");
  std::string device;
  if (auto wrong = read_text(node, device); !wrong.empty()) return wrong;
  if (device.size() > kLimit) return fmt::format("{} is {} characters long", shown(device), device.size());
  if (device != "none" && !std::regex_match(device, pci) && !std::regex_match(device, driver)) {
    return fmt::format("{} is neither a PCI address nor a device of DPDK's nor a socket", shown(device));
  }
  out = device;
  return "";
}

std::string read_node_name(const YAML::Node& node, std::string& out) {
  std::string name;
  if (auto wrong = read_text(node, name); !wrong.empty()) return wrong;
  if (!names::is_dns_subdomain(name)) return fmt::format("{} is not a node name", shown(name));
  out = name;
  return "";
}

std::string read_gateway_ipv4(const YAML::Node& node, net::Ipv4& out) {
  if (auto wrong = want_scalar(node, "an IPv4 address"); !wrong.empty()) return wrong;
  const auto address = net::Ipv4::parse(node.Scalar());
  if (!address) return fmt::format("{} is not an IPv4 address", shown(node.Scalar()));
  if (auto wrong = not_unicast(net::IpAddress::from(*address)); !wrong.empty()) return wrong;
  out = *address;
  return "";
}

std::string read_gateway_ipv6(const YAML::Node& node, net::Ipv6& out) {
  if (auto wrong = want_scalar(node, "an IPv6 address"); !wrong.empty()) return wrong;
  const auto address = net::Ipv6::parse(node.Scalar());
  if (!address) return fmt::format("{} is not an IPv6 address", shown(node.Scalar()));
  if (auto wrong = not_unicast(net::IpAddress::from(*address)); !wrong.empty()) return wrong;
  out = *address;
  return "";
}

std::string read_gateway_mac(const YAML::Node& node, net::Mac& out) {
  if (auto wrong = want_scalar(node, "a MAC address"); !wrong.empty()) return wrong;
  const auto mac = net::Mac::parse(node.Scalar());
  if (!mac) return fmt::format("{} is not a MAC address", shown(node.Scalar()));
  if (mac->is_multicast()) return fmt::format("{} is a multicast address", mac->to_string());
  if (*mac == net::Mac{}) return fmt::format("{} is no station's address", mac->to_string());
  out = *mac;
  return "";
}

std::string read_prefix(const YAML::Node& node, std::uint8_t family, Range lengths, std::optional<net::Prefix>& out) {
  const std::string wanted = fmt::format("an IPv{} prefix or none", family);
  if (auto wrong = want_scalar(node, wanted); !wrong.empty()) return wrong;
  const std::string& text = node.Scalar();
  if (text == "none") {
    out.reset();
    return "";
  }
  const auto prefix = net::Prefix::parse(text);
  if (!prefix) return fmt::format("{} is not {}{}", shown(text), wanted, prefix_hint(text));
  if (prefix->address.family != family) return fmt::format("{} is not {}", shown(text), wanted);
  if (prefix->length_bits < lengths.min || prefix->length_bits > lengths.max) {
    return fmt::format("the length of {} is out of range", text);
  }
  if (auto wrong = not_unicast(prefix->address); !wrong.empty()) return wrong;
  if (family == 6 && prefix->address.v6().is_link_local()) return fmt::format("{} is link-local", text);
  out = *prefix;
  return "";
}

std::string read_pool(const YAML::Node& node, std::uint8_t family, Range lengths, std::optional<AddressPool>& out) {
  std::optional<net::Prefix> prefix;
  if (auto wrong = read_prefix(node, family, lengths, prefix); !wrong.empty()) return wrong;
  if (!prefix) {
    out.reset();
    return "";
  }
  if (!out) out.emplace();
  out->prefix = *prefix;
  return "";
}

}  // namespace millrace::control::config
