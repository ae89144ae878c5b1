/// SwitchService: the gRPC face of SwitchState (control/api/switch.proto).
///
/// Shape:   requests that answer at once or after the workers' turn run on gRPC's threads; streams (Watch,
///          WatchPackets) hold none.
/// Thread:  gRPC's. `end_watches` from main.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "control/api/switch.grpc.pb.h"
#include "control/switch/event_hub.h"
#include "control/switch/flow_list.h"
#include "control/switch/flow_scans.h"
#include "control/switch/switch_state.h"
#include "control/switch/watchers.h"

namespace millrace::control::switchd {

/// What does not change while the process lives.
struct InstanceInfo {
  std::string instance_id;  // random, new at each start
  std::string version;
  std::string memory;
  std::string poll;
  std::uint64_t packets_limit = 0;
  api::Topology topology;
};

using SwitchServiceBase =
    api::Switch::WithCallbackMethod_Watch<api::Switch::WithCallbackMethod_WatchPackets<api::Switch::Service>>;

class SwitchService final : public SwitchServiceBase {
 public:
  /// What it refers to must outlive the service; `packets_free` is asked from any thread.
  SwitchService(SwitchState& state, FlowScans& flow_scans, EventHub& events, InstanceInfo info,
                std::function<std::uint64_t()> packets_free);

  grpc::Status Apply(grpc::ServerContext*, const api::ApplyRequest* request, api::ApplyReply* reply) override;
  grpc::Status GetStatus(grpc::ServerContext*, const api::SwitchStatusRequest*, api::SwitchStatus* reply) override;
  grpc::Status ListPorts(grpc::ServerContext*, const api::ListPortsRequest*, api::ListPortsReply* reply) override;
  grpc::Status GetCounters(grpc::ServerContext*, const api::GetCountersRequest*, api::GetCountersReply* reply) override;
  grpc::Status GetTopology(grpc::ServerContext*, const api::GetTopologyRequest*, api::Topology* reply) override;
  grpc::Status GetPolicy(grpc::ServerContext*, const api::GetPolicyRequest* request,
                         api::PortPolicyStatus* reply) override;
  grpc::Status ListTunnels(grpc::ServerContext*, const api::ListTunnelsRequest*, api::ListTunnelsReply* reply) override;
  grpc::Status ListRuleCounters(grpc::ServerContext*, const api::ListRuleCountersRequest*,
                                api::ListRuleCountersReply* reply) override;
  grpc::Status ListFlows(grpc::ServerContext* context, const api::ListFlowsRequest* request,
                         grpc::ServerWriter<api::FlowBatch>* writer) override;
  grpc::Status FlushFlows(grpc::ServerContext* context, const api::FlushFlowsRequest* request,
                          api::FlushFlowsReply* reply) override;
  grpc::Status Trace(grpc::ServerContext*, const api::TraceRequest* request, api::TraceReply* reply) override;
  using SwitchServiceBase::WatchPackets;
  grpc::ServerWriteReactor<api::PacketEvents>* WatchPackets(grpc::CallbackServerContext*,
                                                            const api::WatchPacketsRequest* request) override;
  using SwitchServiceBase::Watch;  // the base has a second one, for the API that holds a thread
  grpc::ServerWriteReactor<api::WatchEvent>* Watch(grpc::CallbackServerContext*, const api::WatchRequest*) override;

  /// Ends every Watch and WatchPackets stream: they would keep the server from stopping.
  void end_watches() {
    watchers_.finish_all();
    events_.end_all();
  }

 private:
  SwitchState& state_;
  FlowScans& flow_scans_;
  FlowLister flows_{state_, flow_scans_};
  EventHub& events_;
  const InstanceInfo info_;
  const std::function<std::uint64_t()> packets_free_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  Watchers watchers_;
};

/// 128 random bits as 32 hexadecimal digits.
std::string random_instance_id();

}  // namespace millrace::control::switchd
