/// parse_nat: what an ApplyRequest says of masquerading becomes what a snapshot is built of.
///
/// Shape:   the ports are not the request's: they are the worker's own from start on (config nat.portRange), and the
///          caller's to fill in.
/// Errors:  kInvalidArgument names the field ("nat.node_addresses[2]") and what is allowed; kResourceExhausted the
///          limit.
/// Thread:  pure function, any thread.
#pragma once

#include "control/api/switch.pb.h"
#include "datapath/snapshot_builder.h"
#include "net/result.h"

namespace millrace::control::switchd {

net::Result<datapath::NatSpec> parse_nat(const api::Nat& wire);

}  // namespace millrace::control::switchd
