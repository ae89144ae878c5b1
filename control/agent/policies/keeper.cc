#include "control/agent/policies/keeper.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace millrace::control::agent::policies {

void Keeper::start() {
  for (const kube::Kind kind : {kube::Kind::kNamespace, kube::Kind::kPod, kube::Kind::kNetworkPolicy}) {
    for (const ObjectRef& object : objects_.list(kind)) compiler_.note({kube::key_of(*object), nullptr, object});
  }
  compiler_.set_local_ports(objects_.local_ports());
  if (auto sent = send(); !sent) spdlog::warn("{}", sent.error().message);
  objects_.set_gate(this);
}

net::Result<void> Keeper::check(const ObjectChanges& changes) {
  return switch_.check_policy(compiler_.preview(changes));
}

net::Result<void> Keeper::follow(const ObjectChanges& changes, const std::vector<LocalPort>& ports) {
  for (const ObjectChange& change : changes) compiler_.note(change);
  compiler_.set_local_ports(ports);
  return send();
}

net::Result<void> Keeper::send() {
  const api::ApplyRequest delta = compiler_.take_changes();
  if (is_without_policy(delta)) return {};
  auto sent = switch_.update_policy(delta);
  // With the switch away there is nothing to tell: its return brings the policy, and the client says that it is away.
  if (sent || sent.error().code == net::ErrorCode::kUnavailable) return {};
  return net::Error{sent.error().code, "network policy: " + sent.error().message};
}

}  // namespace millrace::control::agent::policies
