#include "control/switch/port_config.h"

#include <span>

namespace millrace::control::switchd {
namespace {

std::string to_bytes(std::span<const std::uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

api::PortKind to_proto(datapath::PortKind kind) {
  switch (kind) {
    case datapath::PortKind::kPod: return api::PORT_KIND_POD;
    case datapath::PortKind::kHost: return api::PORT_KIND_HOST;
    case datapath::PortKind::kUplink: return api::PORT_KIND_UPLINK;
    case datapath::PortKind::kNodeLink: return api::PORT_KIND_NODE_LINK;
    case datapath::PortKind::kTunnel: break;  // no port that anybody adds
  }
  return api::PORT_KIND_UNSPECIFIED;
}

}  // namespace

api::PortSpec to_proto(const PortConfig& port) {
  api::PortSpec spec;
  spec.set_name(port.name);
  spec.set_kind(to_proto(port.kind));
  if (port.vhost) {
    api::VhostUser& socket = *spec.mutable_vhost_user();
    socket.set_path(port.interface);
    socket.set_role(port.vhost->is_client ? api::VHOST_ROLE_CLIENT : api::VHOST_ROLE_SERVER);
    socket.set_queue_pairs(port.vhost->queue_pairs);
  } else {
    spec.set_interface(port.interface);
  }
  spec.set_mac(to_bytes(port.mac.bytes));
  for (const net::IpAddress& address : port.addresses) spec.add_addresses(to_bytes(address.raw()));
  for (const net::Prefix& prefix : port.prefixes) {
    api::RoutePrefix* route = spec.add_prefixes();
    route->set_address(to_bytes(prefix.address.raw()));
    route->set_length(prefix.length_bits);
  }
  spec.set_mtu(port.mtu_bytes);
  spec.set_description(port.description);
  spec.set_masquerade(port.masquerade);
  spec.set_dhcp(port.dhcp);
  spec.set_await_policy(port.await_policy);
  spec.set_device(port.device);
  return spec;
}

}  // namespace millrace::control::switchd
