#include "datapath/foresee_flow.h"

#include <array>

#include "datapath/flow_way.h"

namespace millrace::datapath {
namespace {

/// The entries of both ends in both rule sets. Their identities were fetched before.
template <typename Address>
void foresee_policy(const Snapshot& snapshot, net::PortId in, const Address& source,
                    const Address& destination) noexcept {
  if (const policy::RuleSet* const egress = snapshot.ports[in].egress; egress != nullptr) {
    egress->prefetch(snapshot.identities->find(destination));
  }
  const net::PortId out = snapshot.routes.lookup(destination);
  if (out == net::kNoPort) return;
  if (const policy::RuleSet* const ingress = snapshot.ports[out].ingress; ingress != nullptr) {
    ingress->prefetch(snapshot.identities->find(source));
  }
}

template <typename Line>
void foresee(Turn& turn, std::span<const net::Packet* const> packets,
             std::span<const typename Line::Key> keys) noexcept {
  const Snapshot& snapshot = turn.snapshot;
  std::array<nat::ServiceQuestion<typename Line::Address>, kBurst> questions;
  std::array<const nat::Backend*, kBurst> backends;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto& key = keys[i];
    const nat::SourceKind from = source_kind(snapshot.ports[packets[i]->in_port], key.source, snapshot.nat);
    questions[i] = {key.source, key.destination, key.symmetric_hash(), key.destination_port, key.protocol, from};
    turn.flows.ports(key.source).prefetch({key.source, key.source_port, key.protocol});
    if (snapshot.has_policies) snapshot.identities->prefetch(key.source);
  }
  snapshot.services->foresee(
      std::span<const nat::ServiceQuestion<typename Line::Address>>(questions.data(), keys.size()),
      {backends.data(), keys.size()});
  const auto& table = turn.flows.table(static_cast<const Line*>(nullptr));
  std::array<typename Line::Address, kBurst> destinations;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto& key = keys[i];
    nat::Translation<typename Line::Address> to{key.source, key.destination, key.source_port, key.destination_port};
    if (backends[i] != nullptr) {
      to.destination = address_of(backends[i]->address, key.destination);
      to.destination_port = backends[i]->port;
    }
    destinations[i] = to.destination;
    table.prefetch(reply_key(key, to, key.protocol));
    if (snapshot.has_policies) snapshot.identities->prefetch(to.destination);
  }
  if (!snapshot.has_policies) return;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    foresee_policy(snapshot, packets[i]->in_port, keys[i].source, destinations[i]);
  }
}

}  // namespace

void foresee_flows(Turn& turn, std::span<const net::Packet* const> packets,
                   std::span<const net::FlowKeyV4> keys) noexcept {
  foresee<nat::FlowLineV4>(turn, packets, keys);
}
void foresee_flows(Turn& turn, std::span<const net::Packet* const> packets,
                   std::span<const net::FlowKeyV6> keys) noexcept {
  foresee<nat::FlowLineV6>(turn, packets, keys);
}

}  // namespace millrace::datapath
