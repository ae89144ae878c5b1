/// A failed call to the agent as an error of the CNI. The table is in cni-shim/README.md.
///
/// Thread:  pure functions, any thread.
#pragma once

#include "cni-shim/agent_client.h"
#include "cni-shim/cni_error.h"

namespace millrace::cni_shim {

CniError error_of(const CallFailure& failure);

/// STATUS has codes of its own: an agent that cannot be reached means that ADD would fail (50).
CniError status_error_of(const CallFailure& failure);

/// The agent answered that it is not ready: 51 when the switch is away, for then pods that exist may be cut off too.
CniError not_ready_error(const AgentReadiness& readiness);

}  // namespace millrace::cni_shim
