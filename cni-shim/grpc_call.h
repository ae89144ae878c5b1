/// One unary gRPC call over a unix socket, on libnghttp2: connect, ask, read the answer, close.
///
/// Why not libgrpc: a runtime starts this plugin anew for each pod, for one request on a local socket. TLS, name
/// resolvers, load balancers and a thread pool would be loaded and started for nothing.
///
/// Shape:   `method` is "/package.Service/Method"; request and reply are serialised messages, the reply at most
///          kMaxReplyBytes. The deadline covers all of it, and the server is told of it (grpc-timeout).
/// Errors:  CallFailure: the server's status and message, or what went wrong on the way.
/// Source:  gRPC PROTOCOL-HTTP2.md; RFC 9113.
/// Thread:  any thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "cni-shim/grpc_wire.h"

namespace millrace::cni_shim {

CallResult<std::string> unary_call(const std::string& socket_path, std::string_view method, std::string_view request,
                                   std::chrono::milliseconds timeout);

}  // namespace millrace::cni_shim
