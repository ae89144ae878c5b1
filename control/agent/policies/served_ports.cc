#include "control/agent/policies/served_ports.h"

#include <algorithm>

namespace millrace::control::agent::policies {

bool contains(const kube::IpBlock& block, const net::IpAddress& address) {
  return block.cidr.contains(address) &&
         std::ranges::none_of(block.except, [&](const net::Prefix& except) { return except.contains(address); });
}

void ServedPorts::note(const Endpoints::Change& change, const Identities& identities) {
  if (change.before != kNoIdentity) {
    for (const auto& [port, number] : identities.at(change.before).first.ports) {
      const auto served = served_.find(port);
      if (served == served_.end()) continue;
      served->second.erase(change.address);
      if (served->second.empty()) served_.erase(served);
      touch(port);
    }
  }
  if (change.after == kNoIdentity) return;
  for (const auto& [port, number] : identities.at(change.after).first.ports) {
    served_[port][change.address] = number;
    touch(port);
  }
}

const ServedPorts::Addresses* ServedPorts::find(const PortName& port) const {
  const auto served = served_.find(port);
  return served == served_.end() ? nullptr : &served->second;
}

void ServedPorts::touch(const PortName& port) {
  for (auto it = subscribers_.lower_bound({port, {kube::kKinds.front(), "", ""}}); it != subscribers_.end(); ++it) {
    if (it->first != port) break;
    touched_.insert(it->second);
  }
}

}  // namespace millrace::control::agent::policies
