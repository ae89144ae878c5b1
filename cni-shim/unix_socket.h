/// The way to the agent, or to another that listens on a unix socket: a connected stream socket.
///
/// Errors:  kUnavailable when nobody listens (no socket, connection refused, queue full until the deadline);
///          kPermissionDenied when this process may not connect.
/// Thread:  any thread.
#pragma once

#include <string>
#include <string_view>

#include "cni-shim/deadline.h"
#include "cni-shim/grpc_wire.h"
#include "cni-shim/unique_fd.h"

namespace millrace::cni_shim {

/// `path` at most 107 bytes; `peer` is for the message. The socket is non-blocking once connected.
CallResult<UniqueFd> connect_unix(const std::string& path, const Deadline& deadline,
                                  std::string_view peer = "millrace-agent");

}  // namespace millrace::cni_shim
