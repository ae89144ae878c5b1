/// Identities: numbers of label sets. Pods that no policy can tell apart have one number.
///
/// Shape:   a LabelSet is all that selectors and named ports can see of a pod. A number is counted by its users, and is
///          0 for none. A set that lost its last user keeps its number until settle(), so that a change that is taken
///          back leads to the same numbers. Numbers are used again late: the switch's tables, and people who read old
///          logs, should not see two meanings of one soon after another.
/// Thread:  one.
/// Source:  KUBERNETES: NetworkPolicyPeer (labels of pods and of namespaces), NetworkPolicyPort (ports by name).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/kube/pod.h"

namespace millrace::control::agent::policies {

using Identity = std::uint32_t;
inline constexpr Identity kNoIdentity = 0;
/// Numbers in a row before the first is used again, twice as many as the switch takes endpoints.
inline constexpr Identity kLastIdentity = 2'000'000;

/// A container's port as policies name it: the protocol is part of the name.
struct PortName {
  std::string name;
  kube::Protocol protocol = kube::Protocol::kTcp;
  friend auto operator<=>(const PortName&, const PortName&) = default;
};
/// "http", "dns/UDP".
std::string to_string(const PortName& port);

/// What a name means on one pod. Of two ports of one name the first counts, as everywhere in Kubernetes.
using NamedPorts = std::map<PortName, std::uint16_t>;
NamedPorts named_ports(const kube::Pod& pod);

struct LabelSet {
  std::string name_space;
  kube::Labels namespace_labels;  // with kubernetes.io/metadata.name
  kube::Labels pod_labels;
  NamedPorts ports;
  friend auto operator<=>(const LabelSet&, const LabelSet&) = default;
};

class Identities {
 public:
  struct Entry {
    Identity number = kNoIdentity;
    std::size_t users = 0;
  };
  using Sets = std::map<LabelSet, Entry>;
  using Known = Sets::value_type;

  /// One more user. `.second.users` is 1: the set had none before. Valid until settle() after its last user went.
  const Known& take(LabelSet labels);
  /// One user less; `.second.users` is 0: it was the last.
  const Known& give_back(Identity number);
  /// Precondition: a number that take() gave and settle() did not drop.
  const Known& at(Identity number) const { return *by_number_.at(number); }
  /// Those with users.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const Known& known : sets_) {
      if (known.second.users != 0) visit(known);
    }
  }
  std::size_t size() const { return sets_.size() - unused_.size(); }
  /// Forgets the sets that have no users.
  void settle();

 private:
  Identity next_number();

  Sets sets_;
  std::unordered_map<Identity, Sets::iterator> by_number_;
  std::map<Identity, Sets::iterator> unused_;
  Identity last_ = 0;            // of those handed out for the first time
  std::deque<Identity> former_;  // the one that was dropped longest ago is in front
};

}  // namespace millrace::control::agent::policies
