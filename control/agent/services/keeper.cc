#include "control/agent/services/keeper.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace millrace::control::agent::services {

Keeper::Keeper(ObjectStore& objects, SwitchClient& the_switch, ServiceRoutes routes, NodePortTable node_ports,
               Node node)
    : objects_(objects),
      switch_(the_switch),
      routes_(std::move(routes)),
      node_ports_(std::move(node_ports)),
      compiler_(node),
      health_([&the_switch] { return the_switch.status().in_sync; }) {
  routes_.set_node_addresses(node.addresses);
}

void Keeper::start() {
  for (const kube::Kind kind : kube::kKinds) {
    for (const ObjectRef& object : objects_.list(kind)) note({kube::key_of(*object), nullptr, object});
  }
  routes_.start();
  send();
  objects_.on_change([this](const ObjectChanges& changes) { follow(changes); });
}

void Keeper::note(const ObjectChange& change) {
  compiler_.note(change);
  node_ports_.note(change);
}

void Keeper::follow(const ObjectChanges& changes) {
  const std::lock_guard guard(mutex_);
  for (const ObjectChange& change : changes) note(change);
  send();
}

void Keeper::set_node_addresses(const std::vector<net::IpAddress>& addresses) {
  const std::lock_guard guard(mutex_);
  compiler_.set_node_addresses(addresses);
  routes_.set_node_addresses(addresses);
  send();
}

void Keeper::send() {
  const Changes changes = compiler_.take_changes();
  for (const std::string& problem : changes.problems) spdlog::warn("{}", problem);
  health_.update(compiler_.health_checks());
  if (!changes.empty()) {
    auto sent = switch_.update_services(changes.upserts, changes.removes);
    // With the switch away there is nothing to tell: its return brings the services, and the client says that it is
    // away.
    if (!sent && sent.error().code != net::ErrorCode::kUnavailable) {
      spdlog::warn("services: {}", sent.error().message);
    }
  }
  routes_.update(changes.upserts, changes.removes);  // without changes, too: of addresses, or of the run before
  node_ports_.settle();
}

}  // namespace millrace::control::agent::services
