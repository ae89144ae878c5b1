/// Short words for services in tests.
#pragma once

#include <string>
#include <vector>

#include "nat/service_spec.h"
#include "net/parser.h"

namespace millrace::nat {

inline constexpr std::uint8_t kTcp = net::ip_protocol::kTcp, kUdp = net::ip_protocol::kUdp,
                              kSctp = net::ip_protocol::kSctp;

inline net::IpAddress ip(const std::string& text) { return net::IpAddress::parse(text).value(); }
inline net::Prefix prefix(const std::string& text) { return net::Prefix::parse(text).value(); }
inline Backend backend(const std::string& address, std::uint16_t port) { return {ip(address), port}; }

/// 10.128.0.0, .1, ..., port 8080.
inline std::vector<Backend> backends_v4(unsigned count) {
  std::vector<Backend> backends;
  for (unsigned i = 0; i < count; ++i) {
    backends.push_back({net::IpAddress::from(net::Ipv4::from_host(0x0a800000 + i)), 8080});
  }
  return backends;
}

inline FrontendRule balance(std::uint16_t set, bool masquerade = false) {
  return {.action = FrontendAction::kBalance, .backend_set = set, .masquerade = masquerade};
}
inline FrontendRule reject() { return {.action = FrontendAction::kReject}; }
inline FrontendRule drop() { return {.action = FrontendAction::kDrop}; }

inline FrontendSpec frontend(const std::string& address, std::uint8_t protocol, std::uint16_t port,
                             const FrontendRule& from_pod, const FrontendRule& from_node,
                             const FrontendRule& from_external) {
  return {.address = ip(address),
          .protocol = protocol,
          .port = port,
          .rules = {from_pod, from_node, from_external},
          .source_ranges = {}};
}
/// One rule for all sources.
inline FrontendSpec frontend(const std::string& address, std::uint8_t protocol, std::uint16_t port,
                             const FrontendRule& rule) {
  return frontend(address, protocol, port, rule, rule, rule);
}

}  // namespace millrace::nat
