/// Answers load balancers that ask whether this node has endpoints of a service (healthCheckNodePort).
///
/// Shape:   HTTP/1.1 on each such port of every address of the node, any path: 200 when there is a ready endpoint here,
///          else 503; 503 too while the switch is not in the desired state, which can forward nothing then. The body is
///          kube-proxy's:
///          {"service":{"namespace":N,"name":N},"localEndpoints":COUNT,"serviceProxyHealthy":BOOL}
/// Limits:  kMaxConnections at one time, kTimeout for each; more wait in the kernel.
/// Errors:  a port that cannot be opened is told once and tried again at the next change.
/// Thread:  any; connections are served by one thread of its own, which sleeps while nobody asks.
/// Source:  kubernetes/pkg/proxy/healthcheck/service_health.go; RFC 9110.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "control/agent/services/compiler.h"

namespace millrace::control::agent::services {

class HealthServer {
 public:
  /// `is_healthy`: whether the switch forwards as it should; called on the server's thread.
  explicit HealthServer(std::function<bool()> is_healthy);
  ~HealthServer();
  HealthServer(const HealthServer&) = delete;
  HealthServer& operator=(const HealthServer&) = delete;

  /// What is answered from now on; ports that are no longer named are closed when it returns.
  void update(const std::map<kube::ObjectKey, HealthCheck>& checks);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::control::agent::services
