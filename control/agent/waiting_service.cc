#include "control/agent/waiting_service.h"

#include <unistd.h>

#include "control/agent/version.h"

namespace millrace::control::agent {

void WaitingService::set_reason(const std::string& reason) {
  const std::lock_guard guard(mutex_);
  reason_ = reason;
}

grpc::Status WaitingService::GetStatus(grpc::ServerContext*, const api::AgentStatusRequest*, api::AgentStatus* reply) {
  const std::lock_guard guard(mutex_);
  reply->set_version(kVersion);
  reply->set_pid(static_cast<std::uint32_t>(getpid()));
  reply->set_node_name(node_name_);
  reply->set_switch_message("not asked yet");
  reply->set_message(reason_);
  reply->set_store("etcd");
  reply->set_store_message(reason_);
  return grpc::Status::OK;
}

grpc::Status WaitingService::wait() const {
  const std::lock_guard guard(mutex_);
  return {grpc::StatusCode::UNAVAILABLE, reason_};
}

}  // namespace millrace::control::agent
