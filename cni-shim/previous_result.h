/// prevResult as CHECK sees it: what an earlier ADD answered, kept by the runtime.
///
/// Source:  CNI specification 1.1.0 "CHECK": every field of prevResult that this plugin made must still hold.
/// Thread:  pure functions, any thread.
#pragma once

#include <vector>

#include "cni-shim/cni_error.h"
#include "cni-shim/request.h"

namespace millrace::cni_shim {

/// The addresses prevResult gives to the interface this call names, in its order.
/// Errors: kInvalidConfig when there is no prevResult or an address does not parse; kDiffers when prevResult has no
///         such interface, or has it in another network namespace.
CniResult<std::vector<net::IpAddress>> addresses_to_check(const Request& request);

}  // namespace millrace::cni_shim
