/// What a failed call says about what was done: whether another member may be asked, and what the caller is told.
///
/// Theory:  etcd refuses some requests before it proposes them (no leader, queue full), and gRPC those it never gave to
///          a connection: such a write was not done. Of every other failure of a connection, of time or of a leader
///          nobody knows. The rest are answers: every member would give the same.
/// Thread:  any.
/// Source:  etcd v3.4, etcdserver/api/v3rpc/rpctypes/error.go (codes and sentences), etcdserver/v3_server.go (where).
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "net/result.h"

namespace millrace::control::etcd {

enum class Fault {
  kUnreachable,  // not sent: no connection
  kRefused,      // not done: the member cannot now, it has no leader or too much to do
  kUnknown,      // sent; done or not
  kToken,        // not done: authenticate again
  kAnswer,       // not done, and no other member would do it
};

/// `status` is not OK.
Fault fault_of(const grpc::Status& status);

/// The sentence of `status`, short: of a connection that could not be made, why.
std::string reason_of(const grpc::Status& status);

/// Of an answer (Fault::kAnswer, or kToken after authenticating again) at the endpoint `url`.
net::Error to_error(const grpc::Status& status, const std::string& url);

}  // namespace millrace::control::etcd
