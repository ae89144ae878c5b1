/// Whether CNI_NETNS leads to a namespace. ADD looks before it asks anyone, so that a wrong path costs no address.
///
/// Source:  libcni plugins pkg/ns IsNSorErr: a namespace's file is on nsfs (Linux 3.19 and later).
/// Thread:  any thread.
#pragma once

#include <string>

#include "cni-shim/cni_error.h"

namespace millrace::cni_shim {

/// Error: kInvalidEnvironment, the message names CNI_NETNS, the path and why.
CniResult<void> check_netns_file(const std::string& path);

}  // namespace millrace::cni_shim
