#include "control/switch/service.h"

#include <fmt/core.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <random>
#include <utility>

#include "control/api/grpc_status.h"
#include "control/switch/flow_flush.h"
#include "control/switch/packet_stream.h"
#include "control/switch/trace.h"

namespace millrace::control::switchd {

SwitchService::SwitchService(SwitchState& state, FlowScans& flow_scans, EventHub& events, InstanceInfo info,
                             std::function<std::uint64_t()> packets_free)
    : state_(state),
      flow_scans_(flow_scans),
      events_(events),
      info_(std::move(info)),
      packets_free_(std::move(packets_free)) {}

grpc::Status SwitchService::Apply(grpc::ServerContext*, const api::ApplyRequest* request, api::ApplyReply* reply) {
  auto applied = state_.apply(*request);
  if (!applied) {
    const bool made = applied.error().code == net::ErrorCode::kDeadlineExceeded;
    spdlog::warn("apply {}: {}", made ? "not finished" : "refused", applied.error().message);
    return api::to_status(applied.error());
  }
  *reply = std::move(applied).value();
  for (const api::PortFailure& failure : reply->failures()) {
    spdlog::warn("port {} is not there: {}", failure.name(), failure.message());
  }
  for (const api::PolicyFailure& failure : reply->policy_failures()) {
    spdlog::warn("{} of {} ports is closed: {}",
                 failure.direction() == api::POLICY_DIRECTION_INGRESS ? "ingress" : "egress", failure.ports_size(),
                 failure.message());
  }
  if (request->dry_run()) return grpc::Status::OK;
  spdlog::info(
      "generation {}: {} ports ({} in the request, {} to remove{}), {} services ({} in the request, {} to "
      "remove)",
      reply->generation(), state_.port_count(), request->upsert_ports_size(), request->remove_ports_size(),
      request->replace_all() ? ", all others too" : "", state_.services()->by_name.size(),
      request->upsert_services_size(), request->remove_services_size());
  return grpc::Status::OK;
}

grpc::Status SwitchService::GetStatus(grpc::ServerContext*, const api::SwitchStatusRequest*, api::SwitchStatus* reply) {
  const auto uptime = std::chrono::steady_clock::now() - started_;
  reply->set_instance_id(info_.instance_id);
  reply->set_version(info_.version);
  reply->set_generation(state_.generation());
  reply->set_uptime_ms(
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(uptime).count()));
  reply->set_pid(static_cast<std::uint32_t>(::getpid()));
  reply->set_port_count(static_cast<std::uint32_t>(state_.port_count()));
  reply->set_port_limit(state_.port_limit());
  reply->set_packets_free(packets_free_());
  reply->set_packets_limit(info_.packets_limit);
  reply->set_memory(info_.memory);
  reply->set_poll(info_.poll);
  for (api::TableStatus& table : state_.tables()) *reply->add_tables() = std::move(table);
  return grpc::Status::OK;
}

grpc::Status SwitchService::ListPorts(grpc::ServerContext*, const api::ListPortsRequest*, api::ListPortsReply* reply) {
  *reply = state_.list_ports();
  return grpc::Status::OK;
}

grpc::Status SwitchService::GetCounters(grpc::ServerContext*, const api::GetCountersRequest*,
                                        api::GetCountersReply* reply) {
  *reply = state_.counters();
  return grpc::Status::OK;
}

grpc::Status SwitchService::GetTopology(grpc::ServerContext*, const api::GetTopologyRequest*, api::Topology* reply) {
  *reply = info_.topology;
  return grpc::Status::OK;
}

grpc::Status SwitchService::GetPolicy(grpc::ServerContext*, const api::GetPolicyRequest* request,
                                      api::PortPolicyStatus* reply) {
  auto status = state_.port_policy(request->port());
  if (!status) return api::to_status(status.error());
  *reply = std::move(status).value();
  return grpc::Status::OK;
}

grpc::Status SwitchService::ListTunnels(grpc::ServerContext*, const api::ListTunnelsRequest*,
                                        api::ListTunnelsReply* reply) {
  *reply = state_.list_tunnels();
  return grpc::Status::OK;
}

grpc::Status SwitchService::ListRuleCounters(grpc::ServerContext*, const api::ListRuleCountersRequest*,
                                             api::ListRuleCountersReply* reply) {
  *reply = state_.rule_counters();
  return grpc::Status::OK;
}

grpc::Status SwitchService::ListFlows(grpc::ServerContext* context, const api::ListFlowsRequest* request,
                                      grpc::ServerWriter<api::FlowBatch>* writer) {
  const auto send = [&](const api::FlowBatch& batch) {
    if (context->IsCancelled()) return false;
    return batch.flows_size() == 0 || writer->Write(batch);
  };
  if (auto listed = flows_.list(*request, send); !listed) return api::to_status(listed.error());
  return grpc::Status::OK;
}

grpc::Status SwitchService::FlushFlows(grpc::ServerContext* context, const api::FlushFlowsRequest* request,
                                       api::FlushFlowsReply* reply) {
  auto flushed = flush_flows(flow_scans_, *request, [context] { return !context->IsCancelled(); });
  if (!flushed) return api::to_status(flushed.error());
  *reply = std::move(flushed).value();
  spdlog::info(
      "flush of {}: {} flows ended",
      request->addresses_size() == 0 ? "all flows" : fmt::format("flows of {} addresses", request->addresses_size()),
      reply->ended());
  return grpc::Status::OK;
}

grpc::Status SwitchService::Trace(grpc::ServerContext*, const api::TraceRequest* request, api::TraceReply* reply) {
  const auto question = TraceQuestion::parse(*request);
  if (!question) return api::to_status(question.error());
  auto traced = state_.trace(*question);
  if (!traced) return api::to_status(traced.error());
  *reply = std::move(traced).value();
  if (auto found = find_flow(flows_, *question, *reply); !found) return api::to_status(found.error());
  return grpc::Status::OK;
}

grpc::ServerWriteReactor<api::PacketEvents>* SwitchService::WatchPackets(grpc::CallbackServerContext*,
                                                                         const api::WatchPacketsRequest* request) {
  return open_packet_stream(events_, *request);
}

grpc::ServerWriteReactor<api::WatchEvent>* SwitchService::Watch(grpc::CallbackServerContext*,
                                                                const api::WatchRequest*) {
  api::WatchEvent event;
  event.set_instance_id(info_.instance_id);
  event.set_generation(state_.generation());
  return watchers_.open(std::move(event));
}

std::string random_instance_id() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

}  // namespace millrace::control::switchd
