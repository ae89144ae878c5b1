/// What the agent's socket answers while this node has no addresses yet: its first start, with etcd away.
///
/// Shape:   GetStatus says why; every call that needs the node says it, too, as kUnavailable: a runtime tries again.
/// Thread:  gRPC's.
#pragma once

#include <mutex>
#include <string>

#include "control/api/agent.grpc.pb.h"

namespace millrace::control::agent {

class WaitingService final : public api::Agent::Service {
 public:
  explicit WaitingService(std::string node_name) : node_name_(std::move(node_name)) {}
  void set_reason(const std::string& reason);

  grpc::Status GetStatus(grpc::ServerContext*, const api::AgentStatusRequest*, api::AgentStatus* reply) override;
  grpc::Status AddPod(grpc::ServerContext*, const api::AddPodRequest*, api::AddPodReply*) override { return wait(); }
  grpc::Status DelPod(grpc::ServerContext*, const api::DelPodRequest*, api::DelPodReply*) override { return wait(); }
  grpc::Status CheckPod(grpc::ServerContext*, const api::CheckPodRequest*, api::CheckPodReply*) override {
    return wait();
  }
  grpc::Status GcPods(grpc::ServerContext*, const api::GcPodsRequest*, api::GcPodsReply*) override { return wait(); }
  grpc::Status ListPods(grpc::ServerContext*, const api::ListPodsRequest*, api::ListPodsReply*) override {
    return wait();
  }
  grpc::Status SetPodObject(grpc::ServerContext*, const api::SetPodObjectRequest*, api::SetPodObjectReply*) override {
    return wait();
  }
  grpc::Status DeletePodObject(grpc::ServerContext*, const api::DeletePodObjectRequest*,
                               api::DeletePodObjectReply*) override {
    return wait();
  }
  grpc::Status ApplyObjects(grpc::ServerContext*, const api::ApplyObjectsRequest*, api::ApplyObjectsReply*) override {
    return wait();
  }
  grpc::Status GetObjects(grpc::ServerContext*, const api::GetObjectsRequest*, api::GetObjectsReply*) override {
    return wait();
  }
  grpc::Status DeleteObjects(grpc::ServerContext*, const api::DeleteObjectsRequest*,
                             api::DeleteObjectsReply*) override {
    return wait();
  }
  grpc::Status ListNodes(grpc::ServerContext*, const api::ListNodesRequest*, api::ListNodesReply*) override {
    return wait();
  }
  grpc::Status DeleteNode(grpc::ServerContext*, const api::DeleteNodeRequest*, api::DeleteNodeReply*) override {
    return wait();
  }
  grpc::Status ListBlocks(grpc::ServerContext*, const api::ListBlocksRequest*, api::ListBlocksReply*) override {
    return wait();
  }

 private:
  grpc::Status wait() const;

  const std::string node_name_;
  mutable std::mutex mutex_;
  std::string reason_;
};

}  // namespace millrace::control::agent
