#include "control/agent/policies/identities.h"

#include <utility>

#include <fmt/format.h>

namespace millrace::control::agent::policies {

std::string to_string(const PortName& port) {
  if (port.protocol == kube::Protocol::kTcp) return port.name;
  return fmt::format("{}/{}", port.name, kube::kProtocolNames[static_cast<std::size_t>(port.protocol)]);
}

NamedPorts named_ports(const kube::Pod& pod) {
  NamedPorts ports;
  for (const kube::ContainerPort& port : pod.ports) {
    if (!port.name.empty()) ports.try_emplace({port.name, port.protocol}, port.port);
  }
  return ports;
}

const Identities::Known& Identities::take(LabelSet labels) {
  const auto [place, is_new] = sets_.try_emplace(std::move(labels));
  Entry& entry = place->second;
  if (is_new) {
    entry.number = next_number();
    by_number_.emplace(entry.number, place);
  } else if (entry.users == 0) {
    unused_.erase(entry.number);
  }
  ++entry.users;
  return *place;
}

const Identities::Known& Identities::give_back(Identity number) {
  const auto place = by_number_.at(number);
  if (--place->second.users == 0) unused_.emplace(number, place);
  return *place;
}

void Identities::settle() {
  for (const auto& [number, place] : unused_) {
    by_number_.erase(number);
    former_.push_back(number);
    sets_.erase(place);
  }
  unused_.clear();
}

Identity Identities::next_number() {
  // Without a former one there are more sets than numbers: the switch says so, which takes fewer endpoints.
  if (last_ < kLastIdentity || former_.empty()) return ++last_;
  const Identity number = former_.front();
  former_.pop_front();
  return number;
}

}  // namespace millrace::control::agent::policies
