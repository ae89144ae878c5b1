/// ServedPorts: at which addresses a port's name means which number.
///
/// Theory:  a rule of egress to a block of addresses at a port by its name means the pods in the block, each at its own
///          number. Groups cannot say it, which know no addresses, so such a rule names the addresses one by one, and
///          hears of those that come and go.
/// Thread:  one.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "control/agent/policies/endpoints.h"
#include "control/agent/policies/identities.h"
#include "control/kube/metadata.h"
#include "control/kube/network_policy.h"

namespace millrace::control::agent::policies {

/// The addresses of `block` that are in none of its excepts.
bool contains(const kube::IpBlock& block, const net::IpAddress& address);

class ServedPorts {
 public:
  using Addresses = std::map<net::IpAddress, std::uint16_t>;

  void note(const Endpoints::Change& change, const Identities& identities);
  /// Who serves `port`; nullptr: nobody.
  const Addresses* find(const PortName& port) const;

  /// `policy` is told of addresses that come to serve `port`, or do so no more.
  void subscribe(const PortName& port, const kube::ObjectKey& policy) { subscribers_.insert({port, policy}); }
  void unsubscribe(const PortName& port, const kube::ObjectKey& policy) { subscribers_.extract({port, policy}); }
  std::set<kube::ObjectKey> take_touched() { return std::exchange(touched_, {}); }

 private:
  void touch(const PortName& port);

  std::map<PortName, Addresses> served_;
  std::multiset<std::pair<PortName, kube::ObjectKey>> subscribers_;
  std::set<kube::ObjectKey> touched_;
};

}  // namespace millrace::control::agent::policies
