/// parse_apply: an ApplyRequest off the wire becomes a Change in which every field is by itself right.
///
/// Errors:  kInvalidArgument names the field ("upsert_ports[3].mac") and what is allowed; kResourceExhausted when the
///          request alone has more ports than the switch. Whether the change fits what is there: desired_state.h.
/// Thread:  pure function, any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/api/switch.pb.h"
#include "control/switch/policy_request.h"
#include "control/switch/port_config.h"
#include "control/switch/service_request.h"
#include "control/switch/tunnel_request.h"
#include "datapath/snapshot_builder.h"
#include "net/result.h"

namespace millrace::control::switchd {

struct Change {
  bool replace_all = false;
  std::optional<datapath::Gateway> gateway;
  std::vector<PortConfig> upserts;  // [i] is upsert_ports[i]
  std::vector<std::string> removals;
  std::optional<datapath::NatSpec> nat;
  ServiceChange services;
  PolicyChange policy;
  TunnelChange tunnels;
};

/// `services`, `policy`: those in force, which need not be built again.
net::Result<Change> parse_apply(const api::ApplyRequest& request, const Limits& limits, const LiveServices& services,
                                const PolicyState& policy);

}  // namespace millrace::control::switchd
