/// The gRPC service of agent.proto: checks the messages, calls, and answers. No decision is made here.
///
/// Errors:  net::Error becomes the gRPC status of the same name.
/// Thread:  gRPC's; calls run at the same time.
#pragma once

#include <chrono>
#include <string>

#include "control/agent/node_report.h"
#include "control/agent/object_manager.h"
#include "control/agent/pod_dns.h"
#include "control/agent/pod_manager.h"
#include "control/agent/store.h"
#include "control/agent/switch_client.h"
#include "control/api/agent.grpc.pb.h"

namespace millrace::control::agent {

class AgentService final : public api::Agent::Service {
 public:
  AgentService(std::string node_name, Store& store, SwitchClient& the_switch, PodManager& pods, ObjectManager& objects,
               const NodeReport& report, PodDns dns)
      : node_name_(std::move(node_name)),
        store_(store),
        switch_(the_switch),
        pods_(pods),
        objects_(objects),
        report_(report),
        dns_(std::move(dns)) {}

  grpc::Status AddPod(grpc::ServerContext*, const api::AddPodRequest*, api::AddPodReply*) override;
  grpc::Status DelPod(grpc::ServerContext*, const api::DelPodRequest*, api::DelPodReply*) override;
  grpc::Status CheckPod(grpc::ServerContext*, const api::CheckPodRequest*, api::CheckPodReply*) override;
  grpc::Status GcPods(grpc::ServerContext*, const api::GcPodsRequest*, api::GcPodsReply*) override;
  grpc::Status GetStatus(grpc::ServerContext*, const api::AgentStatusRequest*, api::AgentStatus*) override;
  grpc::Status ListPods(grpc::ServerContext*, const api::ListPodsRequest*, api::ListPodsReply*) override;
  grpc::Status SetPodObject(grpc::ServerContext*, const api::SetPodObjectRequest*, api::SetPodObjectReply*) override;
  grpc::Status DeletePodObject(grpc::ServerContext*, const api::DeletePodObjectRequest*,
                               api::DeletePodObjectReply*) override;
  grpc::Status ApplyObjects(grpc::ServerContext*, const api::ApplyObjectsRequest*, api::ApplyObjectsReply*) override;
  grpc::Status GetObjects(grpc::ServerContext*, const api::GetObjectsRequest*, api::GetObjectsReply*) override;
  grpc::Status DeleteObjects(grpc::ServerContext*, const api::DeleteObjectsRequest*, api::DeleteObjectsReply*) override;
  grpc::Status ListNodes(grpc::ServerContext*, const api::ListNodesRequest*, api::ListNodesReply*) override;
  grpc::Status DeleteNode(grpc::ServerContext*, const api::DeleteNodeRequest*, api::DeleteNodeReply*) override;
  grpc::Status ListBlocks(grpc::ServerContext*, const api::ListBlocksRequest*, api::ListBlocksReply*) override;

 private:
  /// Before a pod is told that it is there: its policies are in force. Error: they cannot be, and its port is closed.
  net::Result<void> enforce_policy(const Attachment& attachment);

  const std::string node_name_;
  Store& store_;
  SwitchClient& switch_;
  PodManager& pods_;
  ObjectManager& objects_;
  const NodeReport& report_;
  const PodDns dns_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace millrace::control::agent
