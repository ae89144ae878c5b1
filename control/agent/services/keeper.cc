#include "control/agent/services/keeper.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace millrace::control::agent::services {

Keeper::Keeper(ObjectStore& objects, SwitchClient& the_switch, Node node)
    : objects_(objects),
      switch_(the_switch),
      compiler_(std::move(node)),
      health_([&the_switch] { return the_switch.status().in_sync; }) {}

void Keeper::start() {
  for (const kube::Kind kind : kube::kKinds) {
    for (const ObjectRef& object : objects_.list(kind)) compiler_.note({kube::key_of(*object), nullptr, object});
  }
  send();
  objects_.on_change([this](const ObjectChanges& changes) { follow(changes); });
}

void Keeper::follow(const ObjectChanges& changes) {
  for (const ObjectChange& change : changes) compiler_.note(change);
  send();
}

void Keeper::send() {
  const Changes changes = compiler_.take_changes();
  for (const std::string& problem : changes.problems) spdlog::warn("{}", problem);
  health_.update(compiler_.health_checks());
  if (changes.empty()) return;
  auto sent = switch_.update_services(changes.upserts, changes.removes);
  // With the switch away there is nothing to tell: its return brings the services, and the client says that it is away.
  if (!sent && sent.error().code != net::ErrorCode::kUnavailable) {
    spdlog::warn("services: {}", sent.error().message);
  }
}

}  // namespace millrace::control::agent::services
