/// The agent's calls this plugin makes, in plain values. millrace.api.Agent of control/api/agent.proto.
///
/// Errors:  CallFailure; a reply that does not parse or holds impossible values is `not_grpc`.
/// Thread:  any thread; each call is its own connection.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "cni-shim/grpc_wire.h"
#include "cni-shim/pod_interface.h"
#include "cni-shim/request.h"

namespace google::protobuf {
class MessageLite;
}

namespace millrace::cni_shim {

/// Of one call. Runtimes wait for minutes; an agent that is up answers in milliseconds.
inline constexpr std::chrono::milliseconds kAgentTimeout{20'000};

struct AgentReadiness {
  bool ready = false;  // ADD would succeed
  bool switch_connected = false;
  std::string message;  // why not
};

class AgentClient {
 public:
  explicit AgentClient(std::string socket_path, std::chrono::milliseconds timeout = kAgentTimeout)
      : socket_path_(std::move(socket_path)), timeout_(timeout) {}

  /// `delegated` is what a delegated IPAM plugin gave; without addresses: the agent's own IPAM chooses.
  CallResult<PodInterface> add_pod(const Request& request, const IpamResult& delegated) const;
  /// The two halves of an ADD for a plugin that assigns over the pod's interface: that is made, then given what the
  /// plugin gave.
  CallResult<PodInterface> prepare_pod(const Request& request) const;
  CallResult<PodInterface> complete_pod(const Request& request, const IpamResult& delegated) const;
  CallResult<void> del_pod(const Request& request) const;
  CallResult<void> check_pod(const Request& request, const std::vector<net::IpAddress>& addresses) const;
  CallResult<void> gc_pods(const Request& request) const;
  CallResult<AgentReadiness> get_status() const;

 private:
  CallResult<PodInterface> call_add(const google::protobuf::MessageLite& message, const IpamResult& delegated) const;
  CallResult<void> call(std::string_view method, const google::protobuf::MessageLite& request,
                        google::protobuf::MessageLite& reply) const;

  std::string socket_path_;
  std::chrono::milliseconds timeout_;
};

}  // namespace millrace::cni_shim
