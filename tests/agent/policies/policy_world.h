/// A cluster's objects and the policy that a switch has of them, for tests of the policy compiler.
///
/// Shape:   World tells a compiler what changes and puts what it returns into a PolicyTables, which checks each request
///          as the switch must (what stays names nothing that is gone) and decides with the switch's own rule sets.
///          A pod is attached here if it is on the node "here"; its port is "port-NAMESPACE-NAME".
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/agent/policies/compiler.h"
#include "control/agent/policy_state.h"
#include "policy/rule_set.h"
#include "tests/agent/policies/naive_policy.h"

namespace millrace::control::agent::policies {

inline net::IpAddress ip(const std::string& text) { return net::IpAddress::parse(text).value(); }
inline net::Prefix prefix(const std::string& text) { return net::Prefix::parse(text).value(); }

/// What a switch has.
class PolicyTables {
 public:
  void apply(const api::ApplyRequest& request);
  bool egress_allows(const std::string& port, const Question& asked);
  bool ingress_allows(const std::string& port, const Question& asked);
  const PolicyState& state() const { return state_; }
  /// Does the port have a PortPolicy?
  bool is_open(const std::string& port) const { return state_.ports.contains(port); }

 private:
  using SetRef = std::shared_ptr<const policy::RuleSet>;
  const SetRef& set_of(const std::string& port, bool ingress);
  SetRef build(const google::protobuf::RepeatedPtrField<std::string>& policies, bool ingress) const;
  bool allows(const std::string& port, bool ingress, const net::IpAddress& peer, const Question& asked);

  PolicyState state_;
  std::map<std::pair<std::string, bool>, SetRef> sets_;
};

class World {
 public:
  void put(kube::Object object);
  void remove(const kube::ObjectKey& key);
  /// As put() and remove() together, but only asked about.
  api::ApplyRequest preview(const ObjectChanges& changes) { return compiler_.preview(changes); }
  /// Compiles what changed and puts it into the tables.
  const api::ApplyRequest& step();

  const Objects& objects() const { return objects_; }
  PolicyTables& tables() { return tables_; }
  Compiler& compiler() { return compiler_; }
  /// What the tables say, for both ends that are attached here.
  bool allows(const Question& asked);
  bool naive_allows(const Question& asked) const;

  /// A pod's interface is made anew under the name it had.
  void reattach(const kube::ObjectKey& pod) { ++generation_[pod]; }

 private:
  std::vector<LocalPort> local_ports() const;

  Objects objects_;
  Compiler compiler_;
  PolicyTables tables_;
  std::map<kube::ObjectKey, std::int64_t> generation_;
  api::ApplyRequest last_;
};

std::string port_of(const kube::Metadata& meta);

/// Tables as text, identities written as the addresses that have them: equal for equal policy, whatever the numbers.
std::vector<std::string> lines_of(const PolicyState& state);

}  // namespace millrace::control::agent::policies
