#include "control/etcd/endpoint.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace millrace::control::etcd {
namespace {

constexpr std::size_t kHostBytes = 253;  // RFC 1035 s.2.3.4, as text

bool is_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && text.size() <= 5 && port >= 1 && port <= 65535;
}

bool is_host(std::string_view text) {
  if (text.empty() || text.size() > kHostBytes) return false;
  if (text.front() == '[') {
    in6_addr address;
    return text.back() == ']' &&
           inet_pton(AF_INET6, std::string(text.substr(1, text.size() - 2)).c_str(), &address) == 1;
  }
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
  });
}

}  // namespace

net::Result<Endpoint> parse_endpoint(std::string_view url) {
  const auto refused = [url] {
    return net::invalid_argument(fmt::format(
        "etcd endpoint '{}' is not http://HOST:PORT or https://HOST:PORT (an IPv6 address in brackets)", url));
  };
  Endpoint endpoint;
  endpoint.url = url;
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    endpoint.is_tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return refused();
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || !is_host(rest.substr(0, colon)) || !is_port(rest.substr(colon + 1)))
    return refused();
  endpoint.target = fmt::format("dns:///{}", rest);
  return endpoint;
}

}  // namespace millrace::control::etcd
