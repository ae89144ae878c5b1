/// Requests about ways to other nodes, and ways of the underlay, for the tests of the switch.
#pragma once

#include <string>
#include <vector>

#include "tests/switch/test_switch.h"

namespace millrace::control::switchd {

inline std::string mac_bytes(const char* text) {
  const net::Mac mac = net::Mac::parse(text).value();
  return {mac.bytes.begin(), mac.bytes.end()};
}

inline void add_prefix(const std::string& address, std::uint32_t length, api::RoutePrefix& prefix) {
  prefix.set_address(bytes_of(address));
  prefix.set_length(length);
}

inline api::Tunnel tunnel_to(const std::string& name, const std::string& remote,
                             const std::vector<std::string>& prefixes,
                             api::Encapsulation encapsulation = api::ENCAPSULATION_VXLAN) {
  api::Tunnel tunnel;
  tunnel.set_name(name);
  tunnel.set_remote(bytes_of(remote));
  tunnel.set_remote_vtep_mac(mac_bytes("02:00:00:00:07:02"));
  tunnel.set_encapsulation(encapsulation);
  for (const std::string& text : prefixes) {
    const net::Prefix prefix = net::Prefix::parse(text).value();
    add_prefix(prefix.address.to_string(), prefix.length_bits, *tunnel.add_prefixes());
  }
  return tunnel;
}

/// This node is 192.0.2.1 and 2001:db8::1.
inline api::Underlay underlay() {
  api::Underlay made;
  made.set_ipv4(bytes_of("192.0.2.1"));
  made.set_ipv6(bytes_of("2001:db8::1"));
  made.set_vtep_mac(mac_bytes("02:00:00:00:07:01"));
  made.set_vni(4096);
  made.set_udp_port(4789);
  return made;
}

inline api::ApplyRequest tunnels(const std::vector<api::Tunnel>& list) {
  api::ApplyRequest request;
  *request.mutable_underlay() = underlay();
  for (const api::Tunnel& tunnel : list) *request.add_upsert_tunnels() = tunnel;
  return request;
}

inline api::PortSpec uplink(const std::string& name) {
  api::PortSpec port = pod(name, {});
  port.set_kind(api::PORT_KIND_UPLINK);
  return port;
}

}  // namespace millrace::control::switchd
