#include "control/agent/requests.h"

#include <algorithm>
#include <set>

#include "control/agent/kubernetes_syntax.h"

namespace millrace::control::agent {
namespace {

constexpr std::size_t kMaxId = 255;     // what fits a file name: runtimes keep containers as directories
constexpr std::size_t kMaxPath = 4095;  // PATH_MAX less its end mark
constexpr std::size_t kMaxIfname = 15;  // IFNAMSIZ less its end mark

bool is_id_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

/// CNI spec 1.1.0: ^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$
net::Result<void> check_id(const std::string& field, const std::string& text) {
  constexpr std::string_view kNotFirst = "_.-";
  const bool starts_well = !text.empty() && kNotFirst.find(text[0]) == std::string_view::npos;
  if (starts_well && text.size() <= kMaxId && std::all_of(text.begin(), text.end(), is_id_character)) return {};
  return net::invalid_argument(field + ": cannot be; allowed: 1.." + std::to_string(kMaxId) +
                               " of A-Z a-z 0-9 _ . -, a letter or digit first");
}

net::Result<void> check_ifname(const std::string& text) {
  const auto is_bad = [](char c) { return c == '/' || c == ':' || static_cast<unsigned char>(c) <= ' ' || c == 0x7f; };
  const bool fits = !text.empty() && text.size() <= kMaxIfname && text != "." && text != ".." &&
                    std::none_of(text.begin(), text.end(), is_bad);
  if (fits) return {};
  return net::invalid_argument("ifname: cannot be; allowed: 1..15 characters, not . or .., no / : or space");
}

/// One line of text of a bounded length: goes to logs and to the switch as a description.
net::Result<void> check_text(const std::string& field, const std::string& text, std::size_t limit) {
  const auto is_plain = [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != 0x7f; };
  const bool plain = std::all_of(text.begin(), text.end(), is_plain);
  if (plain && text.size() <= limit) return {};
  return net::invalid_argument(field + ": cannot be; allowed: at most " + std::to_string(limit) +
                               " characters, no control characters");
}

bool can_be_a_pods(net::Ipv4 a) {
  return !a.is_multicast() && !a.is_broadcast() && !a.is_loopback() && !a.is_unspecified();
}

bool can_be_a_pods(const net::Ipv6& a) {
  return !a.is_multicast() && !a.is_link_local() && !a.is_loopback() && !a.is_unspecified();
}

net::Result<void> check_pod_address(const std::string& field, const net::IpAddress& address) {
  if (address.is_v4() ? can_be_a_pods(address.v4()) : can_be_a_pods(address.v6())) return {};
  return net::invalid_argument(field + ": " + address.to_string() +
                               " cannot be a pod's; allowed: unicast, not loopback, not IPv6 link-local");
}

net::Result<void> check_addresses(const std::string& field, const std::vector<net::IpAddress>& addresses,
                                  std::size_t limit) {
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    const auto is_of_family = [&](const net::IpAddress& a) { return a.family == family; };
    const auto count = std::count_if(addresses.begin(), addresses.end(), is_of_family);
    if (static_cast<std::size_t>(count) > limit) {
      return net::invalid_argument(field + ": " + std::to_string(count) + " of IPv" + std::to_string(family) +
                                   "; allowed: at most " + std::to_string(limit));
    }
  }
  for (const net::IpAddress& address : addresses) {
    if (auto checked = check_pod_address(field, address); !checked) return checked;
  }
  if (std::set(addresses.begin(), addresses.end()).size() != addresses.size()) {
    return net::invalid_argument(field + ": one address is there twice");
  }
  return {};
}

net::Result<std::optional<net::Mac>> to_mac(const std::string& bytes) {
  if (bytes.empty()) return std::optional<net::Mac>();
  net::Mac mac;
  if (bytes.size() != mac.bytes.size()) {
    return net::invalid_argument("mac: " + std::to_string(bytes.size()) + " bytes; allowed: 6, or none");
  }
  std::copy(bytes.begin(), bytes.end(), mac.bytes.begin());
  if (mac.is_multicast() || mac == net::Mac{}) {
    return net::invalid_argument("mac: " + mac.to_string() + " cannot be an interface's; allowed: unicast, not zero");
  }
  return std::optional(mac);
}

net::Result<void> check_pod_names(const api::AddPodRequest& message) {
  if (message.pod_namespace().empty() != message.pod_name().empty()) {
    return net::invalid_argument("pod_namespace, pod_name: one without the other; allowed: both or none");
  }
  if (!message.pod_name().empty()) {
    if (auto checked = check_dns_label("pod_namespace", message.pod_namespace()); !checked) return checked;
    if (auto checked = check_dns_subdomain("pod_name", message.pod_name()); !checked) return checked;
  }
  return check_text("pod_uid", message.pod_uid(), 128);
}

/// Who assigns between two steps gives the addresses, all of them and not before the second.
net::Result<void> check_step(const api::AddPodRequest& message) {
  switch (message.step()) {
    case api::ADD_POD_STEP_WHOLE: return {};
    case api::ADD_POD_STEP_PREPARE:
      if (message.addresses().empty() && message.delegated().empty() && message.routes().empty()) return {};
      return net::invalid_argument("step: PREPARE with addresses or routes; allowed: those of COMPLETE");
    case api::ADD_POD_STEP_COMPLETE:
      if (message.addresses().empty() && !message.delegated().empty()) return {};
      return net::invalid_argument("step: COMPLETE without delegated addresses, or with wishes; allowed: delegated");
    default:
      return net::invalid_argument("step: " + std::to_string(message.step()) + "; allowed: WHOLE, PREPARE, COMPLETE");
  }
}

/// Whether IPv6 asks for more is known when the addresses are.
net::Result<void> check_mtu(std::uint32_t mtu) {
  if (mtu == 0 || (mtu >= kMinMtu && mtu <= kMaxMtu)) return {};
  return net::invalid_argument("mtu: " + std::to_string(mtu) + "; allowed: 0, or " + std::to_string(kMinMtu) + ".." +
                               std::to_string(kMaxMtu));
}

net::Result<void> read_port_type(const api::AddPodRequest& message, PodRequest& request) {
  if (message.port_type() < api::PORT_TYPE_UNSPECIFIED || message.port_type() > api::PORT_TYPE_VHOST_USER) {
    return net::invalid_argument("port_type: " + std::to_string(message.port_type()) +
                                 "; allowed: KERNEL, VHOST_USER, or none");
  }
  request.names_port_type = message.port_type() != api::PORT_TYPE_UNSPECIFIED;
  if (message.port_type() != api::PORT_TYPE_VHOST_USER) {
    if (!message.has_vhost_user()) return {};
    return net::invalid_argument("vhost_user: allowed: with port_type VHOST_USER alone");
  }
  const std::uint32_t queue_pairs = message.vhost_user().queue_pairs();
  if (queue_pairs > kMaxVhostQueuePairs) {
    return net::invalid_argument("vhost_user.queue_pairs: " + std::to_string(queue_pairs) + "; allowed: 1.." +
                                 std::to_string(kMaxVhostQueuePairs) + ", or 0 for as many");
  }
  request.vhost = VhostWish{message.vhost_user().pod_listens(), queue_pairs};
  return {};
}

net::Result<ContainerPort> to_container_port(const api::ContainerPort& message, const std::string& field) {
  if (!message.name().empty()) {
    if (auto checked = check_port_name(field + ".name", message.name()); !checked) return checked.error();
  }
  if (message.port() < 1 || message.port() > 65535) {
    return net::invalid_argument(field + ".port: " + std::to_string(message.port()) + "; allowed: 1..65535");
  }
  const std::string& protocol = message.protocol();
  if (protocol != "TCP" && protocol != "UDP" && protocol != "SCTP") {
    return net::invalid_argument(field + ".protocol: cannot be; allowed: TCP, UDP, SCTP");
  }
  return ContainerPort{message.name(), static_cast<std::uint16_t>(message.port()), protocol};
}

}  // namespace

net::Result<net::IpAddress> to_address(const std::string& field, const std::string& bytes) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  auto address = net::IpAddress::from_bytes({data, bytes.size()});
  if (!address) return net::invalid_argument(field + ": " + address.error().message);
  return address;
}

net::Result<AttachmentKey> to_key(const api::AttachmentKey& message) {
  if (auto checked = check_id("network", message.network()); !checked) return checked.error();
  if (auto checked = check_id("container_id", message.container_id()); !checked) return checked.error();
  if (auto checked = check_ifname(message.ifname()); !checked) return checked.error();
  return AttachmentKey{message.network(), message.container_id(), message.ifname()};
}

net::Result<PodRequest> to_pod_request(const api::AddPodRequest& message) {
  auto key = to_key(message.key());
  if (!key) return key.error();
  if (message.netns().empty()) {
    return net::invalid_argument("netns: is empty; allowed: the path of a network namespace");
  }
  if (auto checked = check_text("netns", message.netns(), kMaxPath); !checked) return checked.error();
  if (auto checked = check_pod_names(message); !checked) return checked.error();
  auto mac = to_mac(message.mac());
  if (!mac) return mac.error();

  if (auto checked = check_step(message); !checked) return checked.error();

  PodRequest request{.step = message.step(),
                     .key = *key,
                     .netns = message.netns(),
                     .pod_namespace = message.pod_namespace(),
                     .pod_name = message.pod_name(),
                     .pod_uid = message.pod_uid(),
                     .mac = *mac,
                     .mtu = message.mtu(),
                     .wanted = {},
                     .delegated = {},
                     .delegated_gateways = {},
                     .routes = {},
                     .vhost = {}};
  if (auto read = read_port_type(message, request); !read) return read.error();
  for (const std::string& bytes : message.addresses()) {
    auto address = to_address("addresses", bytes);
    if (!address) return address.error();
    request.wanted.push_back(*address);
  }
  for (const api::DelegatedAddress& delegated : message.delegated()) {
    auto address = to_address("delegated.address", delegated.address());
    if (!address) return address.error();
    if (delegated.prefix_length() > address->bits()) {
      return net::invalid_argument("delegated.prefix_length: " + std::to_string(delegated.prefix_length()) +
                                   "; allowed: 0.." + std::to_string(address->bits()));
    }
    request.delegated.push_back(*address);
    if (delegated.gateway().empty()) continue;
    auto gateway = to_address("delegated.gateway", delegated.gateway());
    if (!gateway) return gateway.error();
    request.delegated_gateways.push_back(*gateway);
  }
  if (auto checked = check_addresses("addresses", request.wanted, 1); !checked) return checked.error();
  auto delegated_checked = check_addresses("delegated", request.delegated, kMaxAddressesPerFamily);
  if (!delegated_checked) return delegated_checked.error();
  if (auto checked = check_mtu(request.mtu); !checked) return checked.error();
  auto routes = to_route_requests(message.routes());
  if (!routes) return routes.error();
  request.routes = *std::move(routes);
  return request;
}

net::Result<PodObject> to_pod_object(const api::PodObject& message) {
  if (auto checked = check_dns_label("namespace", message.namespace_()); !checked) return checked.error();
  if (auto checked = check_dns_subdomain("name", message.name()); !checked) return checked.error();
  if (message.labels_size() > kMaxLabels || message.ports_size() > kMaxContainerPorts) {
    return net::invalid_argument("labels, ports: too many; allowed: " + std::to_string(kMaxLabels) + " and " +
                                 std::to_string(kMaxContainerPorts));
  }
  PodObject object{message.namespace_(), message.name(), {}, {}};
  for (const auto& [key, value] : message.labels()) {
    if (auto checked = check_label_key("labels", key); !checked) return checked.error();
    if (auto checked = check_label_value("labels." + key, value); !checked) return checked.error();
    object.labels[key] = value;
  }
  std::set<std::string> names;
  for (int i = 0; i < message.ports_size(); ++i) {
    const std::string field = "ports[" + std::to_string(i) + "]";
    auto port = to_container_port(message.ports(i), field);
    if (!port) return port.error();
    if (!port->name.empty() && !names.insert(port->name).second) {
      return net::invalid_argument(field + ".name: " + port->name + " is there twice; allowed: once");
    }
    object.ports.push_back(*port);
  }
  return object;
}

void to_message(const AttachmentKey& key, api::AttachmentKey& message) {
  message.set_network(key.network);
  message.set_container_id(key.container_id);
  message.set_ifname(key.ifname);
}

void to_message(const Attachment& attachment, const kube::Pod* pod, api::Pod& message) {
  to_message(attachment.key, *message.mutable_key());
  message.set_pod_namespace(attachment.pod_namespace);
  message.set_pod_name(attachment.pod_name);
  message.set_pod_uid(attachment.pod_uid);
  message.set_netns(attachment.netns);
  message.set_host_interface(attachment.host_interface);
  message.set_mac(to_bytes(attachment.mac));
  for (const net::IpAddress& address : attachment.addresses) message.add_addresses(to_bytes(address));
  message.set_mtu(attachment.mtu);
  message.set_created_unix_ms(attachment.created_unix_ms);
  message.set_delegated_ipam(attachment.delegated_ipam);
  message.set_port_type(attachment.vhost ? api::PORT_TYPE_VHOST_USER : api::PORT_TYPE_KERNEL);
  if (attachment.vhost) {
    message.set_socket_path(attachment.vhost->path);
    message.mutable_vhost_user()->set_pod_listens(attachment.vhost->wish.pod_listens);
    message.mutable_vhost_user()->set_queue_pairs(attachment.vhost->wish.queue_pairs);
  }
  if (pod == nullptr) return;
  for (const auto& [key, value] : pod->meta.labels) (*message.mutable_labels())[key] = value;
  for (const kube::ContainerPort& port : pod->ports) {
    api::ContainerPort& added = *message.add_ports();
    added.set_name(port.name);
    added.set_port(port.port);
    added.set_protocol(std::string(kube::kProtocolNames[static_cast<std::size_t>(port.protocol)]));
  }
}

}  // namespace millrace::control::agent
