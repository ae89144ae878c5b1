#include "cni-shim/agent_client.h"

#include <algorithm>

#include "cni-shim/grpc_call.h"
#include "cni-shim/text.h"
#include "control/api/lite/agent.pb.h"

namespace millrace::cni_shim {
namespace {

std::string bytes_of(const net::IpAddress& address) {
  const auto raw = address.raw();
  return {reinterpret_cast<const char*>(raw.data()), raw.size()};
}

std::optional<net::IpAddress> address_of(const std::string& bytes) {
  const auto address = net::IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  if (!address) return std::nullopt;
  return *address;
}

bool read_mac(const std::string& bytes, net::Mac& mac) {
  if (bytes.size() != mac.bytes.size()) return false;
  std::copy(bytes.begin(), bytes.end(), mac.bytes.begin());
  return true;
}

CallFailure bad_reply(std::string_view field) {
  return {GrpcCode::kInternal, "the agent's AddPodReply has a wrong " + std::string(field), true, true};
}

void set_key(const Request& request, api::AttachmentKey& key) {
  key.set_network(request.config.name);
  key.set_container_id(request.environment.container_id);
  key.set_ifname(request.environment.ifname);
}

/// Of an invocation's own words and the pod's annotations the first that name a type.
void set_port_type(const PortWish& wish, api::AddPodRequest& message) {
  if (wish.type == PortType::kUnspecified) return;
  if (wish.type == PortType::kKernel) return message.set_port_type(api::PORT_TYPE_KERNEL);
  message.set_port_type(api::PORT_TYPE_VHOST_USER);
  message.mutable_vhost_user()->set_pod_listens(wish.pod_listens);
  message.mutable_vhost_user()->set_queue_pairs(wish.queue_pairs);
}

api::AddPodRequest add_request(const Request& request, const IpamResult& delegated) {
  const NetworkConfig& config = request.config;
  const CniArgs& args = request.args;
  api::AddPodRequest message;
  set_key(request, *message.mutable_key());
  message.set_netns(request.environment.netns);
  message.set_pod_namespace(args.pod_namespace);
  message.set_pod_name(args.pod_name);
  message.set_pod_uid(args.pod_uid);
  message.set_mtu(config.mtu);
  set_port_type(args.port.type == PortType::kUnspecified ? config.port : args.port, message);
  if (const auto& mac = config.mac ? config.mac : args.mac) {
    message.set_mac(std::string(mac->bytes.begin(), mac->bytes.end()));
  }
  for (const AssignedAddress& assigned : delegated.addresses) {
    api::DelegatedAddress& entry = *message.add_delegated();
    entry.set_address(bytes_of(assigned.address));
    entry.set_prefix_length(assigned.prefix_bits);
    if (assigned.gateway) entry.set_gateway(bytes_of(*assigned.gateway));
  }
  for (const PodRoute& route : delegated.routes) {
    api::PodRoute& entry = *message.add_routes();
    entry.set_destination(bytes_of(route.destination.address));
    entry.set_prefix_length(route.destination.length_bits);
    if (route.gateway) entry.set_gateway(bytes_of(*route.gateway));
    entry.set_mtu(route.mtu);
    entry.set_advmss(route.advmss);
    entry.set_priority(route.priority);
  }
  // Wishes go to whoever assigns: a delegated plugin has read them itself.
  if (delegated.addresses.empty()) {
    for (const auto& address : config.addresses.empty() ? args.addresses : config.addresses) {
      message.add_addresses(bytes_of(address));
    }
  }
  return message;
}

/// A delegated address keeps its prefix length and its gateway, though the pod's next hop is `gateway`: the CHECK of
/// `static` compares both with what it gave. The built-in IPAM gives host addresses.
AssignedAddress assigned_address(const net::IpAddress& address, const std::optional<net::IpAddress>& gateway,
                                 const std::vector<AssignedAddress>& delegated) {
  for (const AssignedAddress& assigned : delegated) {
    if (assigned.address != address) continue;
    return {address, assigned.prefix_bits, assigned.gateway ? assigned.gateway : gateway};
  }
  return {address, static_cast<std::uint8_t>(address.bits()), gateway};
}

CallResult<PodInterface> pod_of(const api::AddPodReply& reply, const std::vector<AssignedAddress>& delegated) {
  PodInterface pod;
  pod.host_interface = reply.host_interface();
  pod.mtu = reply.mtu();
  pod.socket_path = reply.socket_path();
  if (pod.socket_path.empty() && !read_mac(reply.host_mac(), pod.host_mac)) return bad_reply("host_mac");
  if (!read_mac(reply.mac(), pod.mac)) return bad_reply("mac");
  for (int i = 0; i < reply.addresses_size(); ++i) {
    const auto address = address_of(reply.addresses(i));
    if (!address) return bad_reply("address");
    const std::string& gateway_bytes = i < reply.gateways_size() ? reply.gateways(i) : std::string();
    const auto gateway = address_of(gateway_bytes);
    if (!gateway && !gateway_bytes.empty()) return bad_reply("gateway");
    pod.addresses.push_back(assigned_address(*address, gateway, delegated));
  }
  for (const api::PodRoute& route : reply.routes()) {
    const auto destination = address_of(route.destination());
    const auto gateway = address_of(route.gateway());
    if (!destination || route.prefix_length() > destination->bits()) return bad_reply("route");
    if (!gateway && !route.gateway().empty()) return bad_reply("route gateway");
    pod.routes.push_back(
        {.destination = net::Prefix::of(*destination, static_cast<std::uint8_t>(route.prefix_length())),
         .gateway = gateway,
         .mtu = route.mtu(),
         .advmss = route.advmss(),
         .priority = route.priority()});
  }
  const auto texts = [](const auto& list) { return std::vector<std::string>(list.begin(), list.end()); };
  pod.dns = {.nameservers = texts(reply.dns().nameservers()),
             .domain = reply.dns().domain(),
             .search = texts(reply.dns().searches()),
             .options = texts(reply.dns().options())};
  return pod;
}

}  // namespace

CallResult<void> AgentClient::call(std::string_view method, const google::protobuf::MessageLite& request,
                                   google::protobuf::MessageLite& reply) const {
  const auto bytes =
      unary_call(socket_path_, "/millrace.api.Agent/" + std::string(method), request.SerializeAsString(), timeout_);
  if (!bytes) return bytes.error();
  if (!reply.ParseFromString(*bytes)) {
    return CallFailure{GrpcCode::kInternal, "the agent's reply to " + std::string(method) + " does not parse", true,
                       true};
  }
  return {};
}

CallResult<PodInterface> AgentClient::add_pod(const Request& request, const IpamResult& delegated) const {
  return call_add(add_request(request, delegated), delegated);
}

CallResult<PodInterface> AgentClient::prepare_pod(const Request& request) const {
  api::AddPodRequest message = add_request(request, {});
  message.clear_addresses();
  message.set_step(api::ADD_POD_STEP_PREPARE);
  return call_add(message, {});
}

CallResult<PodInterface> AgentClient::complete_pod(const Request& request, const IpamResult& delegated) const {
  api::AddPodRequest message = add_request(request, delegated);
  message.set_step(api::ADD_POD_STEP_COMPLETE);
  return call_add(message, delegated);
}

CallResult<PodInterface> AgentClient::call_add(const google::protobuf::MessageLite& message,
                                               const IpamResult& delegated) const {
  api::AddPodReply reply;
  const auto done = call("AddPod", message, reply);
  if (!done) return done.error();
  return pod_of(reply, delegated.addresses);
}

CallResult<void> AgentClient::del_pod(const Request& request) const {
  api::DelPodRequest message;
  set_key(request, *message.mutable_key());
  message.set_netns(request.environment.netns);
  api::DelPodReply reply;
  return call("DelPod", message, reply);
}

CallResult<void> AgentClient::check_pod(const Request& request, const std::vector<net::IpAddress>& addresses) const {
  api::CheckPodRequest message;
  set_key(request, *message.mutable_key());
  message.set_netns(request.environment.netns);
  for (const net::IpAddress& address : addresses) message.add_addresses(bytes_of(address));
  api::CheckPodReply reply;
  return call("CheckPod", message, reply);
}

CallResult<void> AgentClient::gc_pods(const Request& request) const {
  api::GcPodsRequest message;
  message.set_network(request.config.name);
  for (const ValidAttachment& attachment : request.config.valid_attachments) {
    api::AttachmentKey& key = *message.add_valid();
    key.set_network(request.config.name);
    key.set_container_id(attachment.container_id);
    key.set_ifname(attachment.ifname);
  }
  api::GcPodsReply reply;
  return call("GcPods", message, reply);
}

CallResult<AgentReadiness> AgentClient::get_status() const {
  api::AgentStatus reply;
  const auto done = call("GetStatus", api::AgentStatusRequest(), reply);
  if (!done) return done.error();
  return AgentReadiness{reply.ready(), reply.switch_connected(), reply.switch_message()};
}

}  // namespace millrace::cni_shim
