/// DesiredState: the whole of what the agent wants, and how a change makes the next one of it.
///
/// Shape:   ports by name; no two ports share an interface, an address or a prefix, and none has the gateway's.
///          Services by name; no two share a frontend. Policy: policy_state.h. Tunnels: tunnel_set.h; none has an
///          address or a prefix of a port.
/// Errors:  of `merge`: kInvalidArgument names the field of the request and the port it collides with;
///          kResourceExhausted names portLimit, or the limit of the services.
/// Thread:  pure functions over plain values, any thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "control/switch/apply_request.h"
#include "control/switch/policy_state.h"
#include "control/switch/port_config.h"
#include "control/switch/tunnel_set.h"
#include "datapath/snapshot.h"
#include "net/result.h"

namespace millrace::control::switchd {

/// Services, and the table the workers look them up in. Immutable, shared by the states before and after a change
/// that is not about them.
struct ServiceState {
  LiveServices by_name;
  std::shared_ptr<const nat::ServiceTable> table;  // nullptr: none
};

struct DesiredState {
  datapath::Gateway gateway;
  datapath::NatSpec nat;
  std::shared_ptr<const ServiceState> services;       // never nullptr
  std::shared_ptr<const PolicyState> policy;          // never nullptr
  std::shared_ptr<const PortPolicies> port_policies;  // never nullptr
  std::shared_ptr<const TunnelSet> tunnels;           // never nullptr
  std::map<std::string, PortConfig> ports;
};

/// `before` with `change`, but for its policy (next_policy): all of it or an error.
net::Result<DesiredState> merge(const DesiredState& before, const Change& change, const Limits& limits);

}  // namespace millrace::control::switchd
