#include "control/agent/port_specs.h"

#include "control/agent/requests.h"

namespace millrace::control::agent {

api::PortSpec pod_port(const Attachment& attachment, bool masquerade) {
  constexpr std::size_t kMaxDescription = 253;
  api::PortSpec port;
  port.set_name(attachment.host_interface);
  port.set_kind(api::PORT_KIND_POD);
  if (attachment.vhost) {
    const auto& [path, wish] = *attachment.vhost;
    port.mutable_vhost_user()->set_path(path);
    port.mutable_vhost_user()->set_role(wish.pod_listens ? api::VHOST_ROLE_CLIENT : api::VHOST_ROLE_SERVER);
    port.mutable_vhost_user()->set_queue_pairs(wish.queue_pairs);
  } else {
    port.set_interface(attachment.host_interface);
  }
  port.set_mac(to_bytes(attachment.mac));
  for (const net::IpAddress& address : attachment.addresses) port.add_addresses(to_bytes(address));
  port.set_mtu(attachment.mtu);
  port.set_masquerade(masquerade);
  port.set_dhcp(attachment.dhcp);
  port.set_await_policy(!attachment.pod_name.empty());  // a pod of Kubernetes, which policies may isolate
  const std::string what = attachment.pod_name.empty() ? "container " + attachment.key.container_id
                                                       : attachment.pod_namespace + "/" + attachment.pod_name;
  port.set_description(what.substr(0, kMaxDescription));
  return port;
}

api::PortSpec host_port(const config::Config& config, const std::vector<AddressBlock>& blocks, const net::Mac& mac) {
  api::PortSpec port;
  port.set_name(config.host_port);
  port.set_kind(api::PORT_KIND_HOST);
  port.set_interface(config.host_port + "s");
  port.set_mac(to_bytes(mac));
  for (const AddressBlock& block : blocks) port.add_addresses(to_bytes(block.host()));
  // Whatever is no local pod's goes to the node, which routes it or answers that it cannot.
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    net::IpAddress zero;
    zero.family = family;
    port.add_prefixes()->set_address(to_bytes(zero));
  }
  port.set_mtu(config.mtu);
  port.set_description("node " + config.node_name);
  return port;
}

api::Gateway gateway(const config::Config& config, const std::vector<AddressBlock>& blocks) {
  net::IpAddress source_v4 = net::IpAddress::from(config.gateway.ipv4);
  net::IpAddress source_v6 = net::IpAddress::from(config.gateway.ipv6);
  for (const AddressBlock& block : blocks) (block.family() == 4 ? source_v4 : source_v6) = block.host();
  api::Gateway gateway;
  gateway.set_mac(to_bytes(config.gateway.mac));
  gateway.set_ipv4(to_bytes(net::IpAddress::from(config.gateway.ipv4)));
  gateway.set_ipv6(to_bytes(net::IpAddress::from(config.gateway.ipv6)));
  gateway.set_icmp_source_ipv4(to_bytes(source_v4));
  gateway.set_icmp_source_ipv6(to_bytes(source_v6));
  return gateway;
}

}  // namespace millrace::control::agent
