#include "control/agent/policies/policy_rules.h"

#include <map>
#include <utility>

#include "control/agent/requests.h"

namespace millrace::control::agent::policies {
namespace {

constexpr std::uint32_t kLastPort = 65535;
/// The switch takes as many blocks in a rule. An object has no more, but a name in a block becomes the pods' addresses.
constexpr int kMaxRuleBlocks = 10'000;

std::uint32_t number_of(kube::Protocol protocol) {
  constexpr std::uint32_t kNumbers[] = {6, 17, 132};  // IANA: TCP, UDP, SCTP
  return kNumbers[static_cast<std::size_t>(protocol)];
}

void write(const net::Prefix& prefix, api::RoutePrefix& out) {
  out.set_address(to_bytes(prefix.address));
  out.set_length(prefix.length_bits);
}

void write(const kube::IpBlock& block, api::IpBlock& out) {
  write(block.cidr, *out.mutable_cidr());
  for (const net::Prefix& except : block.except) write(except, *out.add_except());
}

void write_port(kube::Protocol protocol, std::uint32_t first, std::uint32_t last, api::PolicyRule& out) {
  api::PolicyPort& port = *out.add_ports();
  port.set_protocol(number_of(protocol));
  port.set_first(first);
  port.set_last(last);
}

/// Precondition: the port has no name.
void write(const kube::PolicyPort& port, api::PolicyRule& out) {
  if (port.port == 0) return write_port(port.protocol, 0, kLastPort, out);
  write_port(port.protocol, port.port, port.end_port == 0 ? port.port : port.end_port, out);
}

PortName name_of(const kube::PolicyPort& port) { return {port.name, port.protocol}; }

std::set<PortName> names_of(const kube::PolicyRule& rule) {
  std::set<PortName> names;
  for (const kube::PolicyPort& port : rule.ports) {
    if (!port.name.empty()) names.insert(name_of(port));
  }
  return names;
}

bool has_numbers(const kube::PolicyRule& rule) {
  for (const kube::PolicyPort& port : rule.ports) {
    if (port.name.empty()) return true;
  }
  return false;
}

void write_peers(const kube::PolicyRule& rule, const std::vector<Groups::Group*>& groups, api::PolicyRule& out) {
  out.set_any_peer(rule.peers.empty());
  for (const Groups::Group* group : groups) out.add_groups(group->name());
  for (const kube::PolicyPeer& peer : rule.peers) {
    if (peer.ip_block) write(*peer.ip_block, *out.add_blocks());
  }
}

}  // namespace

std::set<PortName> ingress_names(const kube::NetworkPolicy& policy) {
  std::set<PortName> names;
  if (!policy.isolates_ingress) return names;
  for (const kube::PolicyRule& rule : policy.ingress) names.merge(names_of(rule));
  return names;
}

PolicyRules::PolicyRules(std::shared_ptr<const kube::NetworkPolicy> policy, Groups& groups, ServedPorts& served,
                         const Identities& identities)
    : policy_(std::move(policy)),
      key_{kube::Kind::kNetworkPolicy, policy_->meta.name_space, policy_->meta.name},
      groups_(groups),
      served_(served),
      identities_(identities) {
  if (policy_->isolates_ingress) {
    for (const kube::PolicyRule& rule : policy_->ingress) ingress_.push_back(hold_ingress(rule));
  }
  if (policy_->isolates_egress) {
    for (const kube::PolicyRule& rule : policy_->egress) egress_.push_back(hold_egress(rule));
  }
}

PolicyRules::~PolicyRules() {
  for (const Held& held : ingress_) release(held);
  for (const Held& held : egress_) release(held);
}

PolicyRules::Held PolicyRules::hold_ingress(const kube::PolicyRule& rule) {
  Held held;
  std::set<PeerSelector> selectors;
  for (const kube::PolicyPeer& peer : rule.peers) {
    if (!peer.ip_block) selectors.insert(selector_of(peer, key_.name_space));
  }
  for (const PeerSelector& selector : selectors) held.groups.push_back(&groups_.hold(selector, identities_));
  return held;
}

PolicyRules::Held PolicyRules::hold_egress(const kube::PolicyRule& rule) {
  // Without ports by numbers, and with ports, only cuts are needed.
  Held held = rule.ports.empty() || has_numbers(rule) ? hold_ingress(rule) : Held();
  std::set<PeerSelector> selectors;
  bool has_blocks = false;
  for (const kube::PolicyPeer& peer : rule.peers) {
    if (peer.ip_block) {
      has_blocks = true;
    } else {
      selectors.insert(selector_of(peer, key_.name_space));
    }
  }
  if (rule.peers.empty()) selectors.insert(PeerSelector());  // anybody: of them, the pods that serve the name
  for (const PortName& port : names_of(rule)) {
    for (const PeerSelector& selector : selectors) {
      held.cuts.push_back({&groups_.hold_cut(selector, port, key_, identities_), port});
    }
    if (!has_blocks) continue;
    held.block_names.insert(port);
    served_.subscribe(port, key_);
  }
  return held;
}

void PolicyRules::release(const Held& held) {
  for (Groups::Group* group : held.groups) groups_.release(*group);
  for (const HeldCut& cut : held.cuts) groups_.release_cut(*cut.group, cut.port, key_);
  for (const PortName& port : held.block_names) served_.unsubscribe(port, key_);
}

void PolicyRules::write_ingress(const NamedPorts& resolved, api::Policy& out) const {
  for (std::size_t i = 0; i < ingress_.size(); ++i) {
    const kube::PolicyRule& rule = policy_->ingress[i];
    api::PolicyRule written;
    written.set_index(static_cast<std::uint32_t>(i));
    for (const kube::PolicyPort& port : rule.ports) {
      if (port.name.empty()) {
        write(port, written);
      } else if (const auto number = resolved.find(name_of(port)); number != resolved.end()) {
        write_port(port.protocol, number->second, number->second, written);
      }
    }
    if (!rule.ports.empty() && written.ports().empty()) continue;
    write_peers(rule, ingress_[i].groups, written);
    *out.add_ingress() = std::move(written);
  }
}

void PolicyRules::write_egress(api::Policy& out) const {
  for (std::size_t i = 0; i < egress_.size(); ++i) {
    const kube::PolicyRule& rule = policy_->egress[i];
    const auto index = static_cast<std::uint32_t>(i);
    if (rule.ports.empty() || has_numbers(rule)) {
      api::PolicyRule& written = *out.add_egress();
      written.set_index(index);
      for (const kube::PolicyPort& port : rule.ports) {
        if (port.name.empty()) write(port, written);
      }
      write_peers(rule, egress_[i].groups, written);
    }
    for (const PortName& port : names_of(rule)) write_named(rule, egress_[i], port, index, out);
  }
}

void PolicyRules::write_named(const kube::PolicyRule& rule, const Held& held, const PortName& port, std::uint32_t index,
                              api::Policy& out) const {
  std::map<std::uint16_t, api::PolicyRule> by_number;
  const auto finish = [&](std::uint16_t number, api::PolicyRule& written) {
    written.set_index(index);
    write_port(port.protocol, number, number, written);
    *out.add_egress() = std::exchange(written, {});
  };
  for (const HeldCut& cut : held.cuts) {
    if (cut.port != port) continue;
    for (const auto& [number, members] : cut.group->cut(port).by_number) {
      by_number[number].add_groups(cut.group->cut_name(port, number));
    }
  }
  const ServedPorts::Addresses* served = held.block_names.contains(port) ? served_.find(port) : nullptr;
  if (served != nullptr) {
    for (const auto& [address, number] : *served) {
      for (const kube::PolicyPeer& peer : rule.peers) {
        if (!peer.ip_block || !contains(*peer.ip_block, address)) continue;
        api::PolicyRule& written = by_number[number];
        if (written.blocks_size() == kMaxRuleBlocks) finish(number, written);
        write(net::Prefix{address, static_cast<std::uint8_t>(address.bits())}, *written.add_blocks()->mutable_cidr());
        break;
      }
    }
  }
  for (auto& [number, written] : by_number) finish(number, written);
}

}  // namespace millrace::control::agent::policies
