/// uplink_rules: what uplinks must take for a desired state.
///
/// Shape:   frontends inside of the service prefixes are not the outside's to use: they are left out. Without an uplink
///          among the ports there is nothing to take. With an underlay VXLAN is taken whether there are tunnels or not:
///          a peer that is not known is to be counted.
/// Thread:  pure function.
#pragma once

#include "control/switch/desired_state.h"
#include "datapath/uplink_rules.h"

namespace millrace::control::switchd {

datapath::UplinkRules uplink_rules(const DesiredState& state, bool has_uplink);

}  // namespace millrace::control::switchd
