// Readers of values.h that take lists, ranges and names of the network.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "control/config/values.h"
#include "control/names/syntax.h"

namespace millrace::control::config {

namespace {

/// A list of distinct values, each read by `read` (text, value) -> what is wrong.
template <typename T, typename Read>
std::string read_list(const YAML::Node& node, std::size_t limit, Read read, std::vector<T>& out) {
  if (!node.IsSequence()) {
    if (node.IsNull()) return "has no value";
    return node.IsMap() ? "is a map, not a list" : fmt::format("{} is not a list", shown(node.Scalar()));
  }
  if (node.size() > limit) return fmt::format("has {} entries", node.size());
  std::vector<T> values;
  for (const YAML::Node& entry : node) {
    T value;
    std::string wrong = "is not text";
    if (entry.IsScalar()) wrong = read(entry.Scalar(), value);
    if (!wrong.empty()) return fmt::format("entry {}: {}", values.size() + 1, wrong);
    if (std::ranges::find(values, value) != values.end()) return fmt::format("{} is named twice", value.to_string());
    values.push_back(value);
  }
  out = std::move(values);
  return "";
}

bool read_port(std::string_view text, Range range, std::uint16_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && out >= range.min && out <= range.max;
}

}  // namespace

std::string read_prefixes(const YAML::Node& node, std::size_t limit, std::vector<net::Prefix>& out) {
  const auto read = [](const std::string& text, net::Prefix& prefix) {
    const auto parsed = net::Prefix::parse(text);
    if (!parsed) return fmt::format("{} is not a prefix, or bits behind its length are set", shown(text));
    prefix = *parsed;
    return std::string();
  };
  return read_list(node, limit, read, out);
}

std::string read_addresses(const YAML::Node& node, std::size_t limit, std::vector<net::IpAddress>& out) {
  const auto read = [](const std::string& text, net::IpAddress& address) {
    const auto parsed = net::IpAddress::parse(text);
    if (!parsed) return fmt::format("{} is not an address", shown(text));
    address = *parsed;
    const bool unicast = address.is_v4() ? !address.v4().is_multicast() && !address.v4().is_broadcast() &&
                                               !address.v4().is_unspecified() && !address.v4().is_loopback()
                                         : !address.v6().is_multicast() && !address.v6().is_unspecified() &&
                                               !address.v6().is_loopback() && !address.v6().is_link_local();
    return unicast ? std::string() : fmt::format("{} is no address that others reach", text);
  };
  return read_list(node, limit, read, out);
}

std::string read_port_range(const YAML::Node& node, Range range, std::uint16_t& first, std::uint16_t& last) {
  std::string text;
  if (auto wrong = read_text(node, text); !wrong.empty()) return wrong;
  const std::size_t dash = text.find('-');
  std::uint16_t from = 0, to = 0;
  if (dash == std::string::npos || !read_port(std::string_view(text).substr(0, dash), range, from) ||
      !read_port(std::string_view(text).substr(dash + 1), range, to)) {
    return fmt::format("{} is not a range of ports", shown(text));
  }
  if (from > to) return fmt::format("{} is a range without a port", shown(text));
  first = from;
  last = to;
  return "";
}

namespace {

/// A URL of an etcd member.
struct Endpoint {
  std::string url;
  const std::string& to_string() const { return url; }
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

bool is_host(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) { return net::Ipv6::parse(text.substr(1, text.size() - 2)).ok(); }
  return names::is_dns_subdomain(std::string(text));  // an IPv4 address is one, too
}

std::string read_endpoint(const std::string& text, Endpoint& endpoint) {
  const std::string_view url = text;
  const std::size_t scheme = url.find("://");
  const std::size_t colon = url.rfind(':');
  const bool known = url.starts_with("http://") || url.starts_with("https://");
  std::uint16_t port = 0;
  if (!known || colon <= scheme || !is_host(url.substr(scheme + 3, colon - scheme - 3)) ||
      !read_port(url.substr(colon + 1), {1, 65535}, port)) {
    return fmt::format("{} is not http://HOST:PORT or https://HOST:PORT", shown(text));
  }
  endpoint.url = text;
  return "";
}

}  // namespace

std::string read_endpoints(const YAML::Node& node, std::size_t limit, std::vector<std::string>& out) {
  std::vector<Endpoint> endpoints;
  if (auto wrong = read_list(node, limit, read_endpoint, endpoints); !wrong.empty()) return wrong;
  std::vector<std::string> urls;
  for (const Endpoint& endpoint : endpoints) {
    if (endpoint.url.starts_with("https") != endpoints.front().url.starts_with("https")) {
      return "has both http and https";
    }
    urls.push_back(endpoint.url);
  }
  out = std::move(urls);
  return "";
}

std::string read_domain(const YAML::Node& node, std::string& out) {
  std::string name;
  if (auto wrong = read_text(node, name); !wrong.empty()) return wrong;
  if (!names::is_dns_subdomain(name)) return fmt::format("{} is not a name of a domain", shown(name));
  out = name;
  return "";
}

}  // namespace millrace::control::config
