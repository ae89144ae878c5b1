/// PolicyState: the policy that the switch should have, as a whole.
///
/// Shape:   endpoints, groups, policies and ports' policies by their keys, as the last requests left them.
/// Thread:  one at a time.
#pragma once

#include <map>
#include <set>
#include <string>

#include "control/api/switch.pb.h"

namespace millrace::control::agent {

struct PolicyState {
  std::map<std::string, api::Endpoint> endpoints;  // by the address's bytes
  std::map<std::string, api::PeerGroup> groups;
  std::map<std::string, api::Policy> policies;
  std::map<std::string, api::PortPolicy> ports;

  /// As the switch does it.
  void merge(const api::ApplyRequest& request);
  void write_to(api::ApplyRequest& request) const;
  bool empty() const { return endpoints.empty() && groups.empty() && policies.empty() && ports.empty(); }
};

/// No policy in it.
bool is_without_policy(const api::ApplyRequest& request);
/// Names of the groups that its rules name.
std::set<std::string> groups_of(const api::Policy& policy);

/// What a change that the switch refused is about: whoever is judged by it is closed, until the switch takes it.
struct PolicyDebt {
  std::set<std::string> groups, policies;  // the switch may not have them, or those of before
  std::set<std::string> ports;             // closed
  std::set<std::string> endpoints;         // addresses without identity
  std::string reason;                      // of the last refusal
  bool empty() const { return groups.empty() && policies.empty() && ports.empty() && endpoints.empty(); }

  /// With what `delta` upserts.
  void note(const api::ApplyRequest& delta);
  /// With what `refused` touches: its groups and policies, the policies that name these groups, and the ports that
  /// these policies isolate.
  void add(const api::ApplyRequest& refused, const PolicyState& wanted);
  void add_everything(const PolicyState& wanted);
  /// Forgets what `wanted` has no more.
  void trim(const PolicyState& wanted);
  /// Takes all of it out of the switch: nothing of it is left for a packet to be judged by, and the ports await theirs.
  void write_closing(api::ApplyRequest& request) const;
  /// Puts all of it into `request`, as it is wanted.
  void write_paying(const PolicyState& wanted, api::ApplyRequest& request) const;
  /// What one port needs of it.
  PolicyDebt part_of(const std::string& port, const PolicyState& wanted) const;
  void subtract(const PolicyDebt& paid);
  /// For people: the closed ports, at most so many that a line holds them.
  std::string text() const;
};

}  // namespace millrace::control::agent
