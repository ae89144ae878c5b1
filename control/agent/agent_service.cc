#include "control/agent/agent_service.h"

#include <fmt/format.h>
#include <net/if.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "control/agent/object_requests.h"
#include "control/agent/port_type.h"
#include "control/agent/reconcile.h"
#include "control/agent/requests.h"
#include "control/agent/version.h"
#include "control/api/grpc_status.h"

namespace millrace::control::agent {

using api::to_status;

grpc::Status AgentService::AddPod(grpc::ServerContext*, const api::AddPodRequest* request, api::AddPodReply* reply) {
  auto checked = to_pod_request(*request);
  if (!checked) return to_status(checked.error());
  const ObjectRef object = objects_.find({kube::Kind::kPod, checked->pod_namespace, checked->pod_name});
  const kube::Pod* const pod = object == nullptr ? nullptr : &std::get<kube::Pod>(*object);
  if (auto chosen = choose_port_type(pod, *checked); !chosen) return to_status(chosen.error());
  auto added = pods_.add(*checked);
  if (!added) return to_status(added.error());
  const Attachment& attachment = added->attachment;
  if (auto enforced = enforce_policy(attachment); !enforced) {
    if (auto undone = pods_.del(checked->key); !undone) {
      spdlog::error("{}: undoing the ADD: {}", checked->key.to_string(), undone.error().message);
    }
    if (auto noted = objects_.note_attachments(); !noted) spdlog::warn("{}", noted.error().message);
    return to_status(enforced.error());
  }
  reply->set_host_interface(attachment.host_interface);
  if (attachment.vhost) {
    reply->set_socket_path(attachment.vhost->path);
  } else {
    reply->set_host_mac(to_bytes(attachment.host_mac));
  }
  reply->set_mac(to_bytes(attachment.mac));
  reply->set_mtu(attachment.mtu);
  for (const net::IpAddress& address : attachment.addresses) reply->add_addresses(to_bytes(address));
  for (const net::IpAddress& gateway : added->gateways) reply->add_gateways(to_bytes(gateway));
  for (const netlink::LinkRoute& route : added->routes) {
    api::PodRoute& said = *reply->add_routes();
    said.set_destination(to_bytes(route.destination.address));
    said.set_prefix_length(route.destination.length_bits);
    if (route.gateway) said.set_gateway(to_bytes(*route.gateway));
    said.set_mtu(route.mtu_bytes);
    said.set_advmss(route.advmss_bytes);
    said.set_priority(route.priority);
  }
  reply->set_generation(added->generation);
  if (auto dns = dns_settings(dns_, attachment.pod_namespace)) *reply->mutable_dns() = *std::move(dns);
  return grpc::Status::OK;
}

net::Result<void> AgentService::enforce_policy(const Attachment& attachment) {
  const auto noted = objects_.note_attachments();
  // Pods that were added at the same time are noted together: a refusal is that of the ports that it closes.
  if (auto reason = switch_.closed_reason(attachment.host_interface)) {
    return net::resource_exhausted(fmt::format("network policy of {}/{} cannot be put in force: {}",
                                               attachment.pod_namespace, attachment.pod_name, *reason));
  }
  if (!noted && noted.error().code != net::ErrorCode::kResourceExhausted) return noted;
  return {};
}

grpc::Status AgentService::DelPod(grpc::ServerContext*, const api::DelPodRequest* request, api::DelPodReply*) {
  auto key = to_key(request->key());
  if (!key) return to_status(key.error());
  const auto gone = pods_.del(*key);
  const auto noted = objects_.note_attachments();  // a DEL that failed half-way has taken the pod away, too
  return to_status(gone ? noted : gone);
}

grpc::Status AgentService::CheckPod(grpc::ServerContext*, const api::CheckPodRequest* request, api::CheckPodReply*) {
  auto key = to_key(request->key());
  if (!key) return to_status(key.error());
  std::vector<net::IpAddress> addresses;
  for (const std::string& bytes : request->addresses()) {
    auto address = to_address("addresses", bytes);
    if (!address) return to_status(address.error());
    addresses.push_back(*address);
  }
  return to_status(pods_.check(*key, request->netns(), addresses));
}

grpc::Status AgentService::GcPods(grpc::ServerContext*, const api::GcPodsRequest* request, api::GcPodsReply* reply) {
  std::vector<AttachmentKey> valid;
  for (const api::AttachmentKey& message : request->valid()) {
    valid.push_back(
        {message.network().empty() ? request->network() : message.network(), message.container_id(), message.ifname()});
  }
  auto removed = pods_.gc(request->network(), valid);
  if (auto noted = objects_.note_attachments(); !noted) return to_status(noted.error());
  if (!removed) return to_status(removed.error());
  reply->set_removed(*removed);
  return grpc::Status::OK;
}

grpc::Status AgentService::GetStatus(grpc::ServerContext*, const api::AgentStatusRequest*, api::AgentStatus* reply) {
  const auto uptime = std::chrono::steady_clock::now() - started_;
  const SwitchClient::Status the_switch = switch_.status();
  reply->set_version(kVersion);
  reply->set_pid(static_cast<std::uint32_t>(getpid()));
  reply->set_uptime_ms(
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(uptime).count()));
  reply->set_node_name(node_name_);
  reply->set_switch_connected(the_switch.in_sync);
  reply->set_switch_message(the_switch.message);
  reply->set_generation(the_switch.generation);
  reply->set_ready(the_switch.in_sync);
  reply->set_message(the_switch.in_sync ? "" : the_switch.message);
  if (auto filled = report_.fill(*reply); !filled) return to_status(filled.error());
  auto attachments = store_.list();
  if (!attachments) return to_status(attachments.error());
  reply->set_pod_count(static_cast<std::uint32_t>(attachments->size()));
  return grpc::Status::OK;
}

grpc::Status AgentService::ListPods(grpc::ServerContext*, const api::ListPodsRequest*, api::ListPodsReply* reply) {
  auto attachments = store_.list();
  if (!attachments) return to_status(attachments.error());
  for (const Attachment& attachment : *attachments) {
    if (attachment.state != AttachmentState::kActive) continue;
    const ObjectRef object = objects_.find({kube::Kind::kPod, attachment.pod_namespace, attachment.pod_name});
    api::Pod& pod = *reply->add_pods();
    to_message(attachment, object == nullptr ? nullptr : &std::get<kube::Pod>(*object), pod);
    pod.set_interface_gone(attachment.vhost ? !socket_is_there(attachment)
                                            : if_nametoindex(attachment.host_interface.c_str()) == 0);
  }
  return grpc::Status::OK;
}

grpc::Status AgentService::SetPodObject(grpc::ServerContext*, const api::SetPodObjectRequest* request,
                                        api::SetPodObjectReply*) {
  auto object = to_pod_object(request->object());
  if (!object) return to_status(object.error());
  // A pod whose manifest was applied before keeps what that says, unless something else is said now.
  const kube::ObjectKey key{kube::Kind::kPod, object->pod_namespace, object->name};
  if (object->labels.empty() && object->ports.empty() && objects_.find(key) != nullptr) return grpc::Status::OK;
  auto manifest = to_manifest(*object);
  if (!manifest) return to_status(manifest.error());
  std::vector<kube::Manifest> one;
  one.push_back(*std::move(manifest));
  auto applied = objects_.apply(std::move(one), false);
  if (applied) return grpc::Status::OK;
  const net::ErrorCode code = applied.error().code;
  const bool is_away = code == net::ErrorCode::kUnavailable || code == net::ErrorCode::kDeadlineExceeded;
  if (!is_away) return to_status(applied.error());
  // A pod of which nothing is said is seen by its attachment all the same. Labels are not: policies go by them.
  if (object->labels.empty() && object->ports.empty()) return grpc::Status::OK;
  return to_status(net::Error{
      code, fmt::format("{}; without labels and ports the pod can be added meanwhile", applied.error().message)});
}

grpc::Status AgentService::DeletePodObject(grpc::ServerContext*, const api::DeletePodObjectRequest* request,
                                           api::DeletePodObjectReply*) {
  const auto removed = objects_.remove_pod(request->namespace_(), request->name());
  if (removed || removed.error().code != net::ErrorCode::kUnavailable) return to_status(removed);
  return to_status(net::unavailable(
      fmt::format("{}; the pod's labels and ports are still in the cluster: try again when etcd answers",
                  removed.error().message)));
}

grpc::Status AgentService::ApplyObjects(grpc::ServerContext*, const api::ApplyObjectsRequest* request,
                                        api::ApplyObjectsReply* reply) {
  auto manifests = to_manifests(*request);
  if (!manifests) return to_status(manifests.error());
  auto applied = objects_.apply(*std::move(manifests), request->dry_run());
  if (!applied) return to_status(applied.error());
  for (const Applied& one : *applied) to_message(one, *reply->add_results());
  return grpc::Status::OK;
}

grpc::Status AgentService::GetObjects(grpc::ServerContext*, const api::GetObjectsRequest* request,
                                      api::GetObjectsReply* reply) {
  auto kind = to_kind("kind", request->kind());
  if (!kind) return to_status(kind.error());
  auto objects = objects_.get(*kind, request->namespace_(), request->name());
  if (!objects) return to_status(objects.error());
  for (const auto& json : *objects) reply->add_objects(json.dump());
  return grpc::Status::OK;
}

grpc::Status AgentService::DeleteObjects(grpc::ServerContext*, const api::DeleteObjectsRequest* request,
                                         api::DeleteObjectsReply*) {
  auto keys = to_keys(*request);
  if (!keys) return to_status(keys.error());
  return to_status(objects_.remove(*keys, request->dry_run()));
}

grpc::Status AgentService::ListNodes(grpc::ServerContext*, const api::ListNodesRequest*, api::ListNodesReply* reply) {
  auto nodes = report_.nodes();
  if (!nodes) return to_status(nodes.error());
  *reply = *std::move(nodes);
  return grpc::Status::OK;
}

grpc::Status AgentService::DeleteNode(grpc::ServerContext*, const api::DeleteNodeRequest* request,
                                      api::DeleteNodeReply* reply) {
  auto removed = report_.delete_node(request->name());
  if (!removed) return to_status(removed.error());
  *reply = *std::move(removed);
  return grpc::Status::OK;
}

grpc::Status AgentService::ListBlocks(grpc::ServerContext*, const api::ListBlocksRequest*,
                                      api::ListBlocksReply* reply) {
  auto blocks = report_.blocks();
  if (!blocks) return to_status(blocks.error());
  *reply = *std::move(blocks);
  return grpc::Status::OK;
}

}  // namespace millrace::control::agent
