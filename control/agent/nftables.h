/// Commands of nft(8) to the kernel, in this process.
///
/// Shape:   the text of one call is one transaction: all of it is in force at once, or nothing of it is.
/// Errors:  kUnavailable, with the first line of what libnftables says: no nf_tables in the kernel, or no right to it.
/// Thread:  any; each call has its own socket, in the network namespace of the thread.
/// Source:  libnftables(3), nft(8).
#pragma once

#include <string>

#include "net/result.h"

namespace millrace::control::agent {

net::Result<void> run_nftables(const std::string& commands);

}  // namespace millrace::control::agent
