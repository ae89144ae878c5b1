#include "control/switch/port_config.h"

#include <span>

namespace millrace::control::switchd {
namespace {

std::string to_bytes(std::span<const std::uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

api::PortSpec to_proto(const PortConfig& port) {
  api::PortSpec spec;
  spec.set_name(port.name);
  spec.set_kind(port.kind == datapath::PortKind::kHost ? api::PORT_KIND_HOST : api::PORT_KIND_POD);
  spec.set_interface(port.interface);
  spec.set_mac(to_bytes(port.mac.bytes));
  for (const net::IpAddress& address : port.addresses) spec.add_addresses(to_bytes(address.raw()));
  for (const net::Prefix& prefix : port.prefixes) {
    api::RoutePrefix* route = spec.add_prefixes();
    route->set_address(to_bytes(prefix.address.raw()));
    route->set_length(prefix.length_bits);
  }
  spec.set_mtu(port.mtu_bytes);
  spec.set_description(port.description);
  return spec;
}

}  // namespace millrace::control::switchd
