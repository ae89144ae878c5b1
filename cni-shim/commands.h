/// The commands of the specification, each one call to the agent and, with a delegated IPAM plugin, one to that.
///
/// Order:   ADD asks IPAM first, and gives its addresses back when the agent refuses. DEL asks the agent first: an
///          address goes back only when nothing carries it any more. GC tries both and reports the first error.
/// Errors:  CniError, see agent_error.h and ipam_delegate.h.
/// Thread:  any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cni-shim/cni_error.h"
#include "cni-shim/request.h"

namespace millrace::cni_shim {

/// Answers the text for stdout, which is empty but for ADD and VERSION.
/// `variables` is this process's environment (NAME=VALUE), for a delegated plugin.
CniResult<std::string> run_command(const Request& request, std::string_view stdin_text,
                                   const std::vector<std::string>& variables);

}  // namespace millrace::cni_shim
