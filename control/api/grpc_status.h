/// net::Error <-> grpc::Status: one meaning on both sides of a socket.
///
/// Shape:   ErrorCode is a subset of the gRPC canonical codes, so nothing is lost on the way there. On the way back a
///          code that gRPC itself gives becomes the nearest of ours: CANCELLED, ABORTED and DEADLINE_EXCEEDED, whoever
///          gave it, kUnavailable (worth another try, may have been done), OUT_OF_RANGE kInvalidArgument, UNIMPLEMENTED
///          kFailedPrecondition, every other kInternal.
/// Thread:  any.
/// Source:  grpc/status.h, "canonical codes".
#pragma once

#include <grpcpp/support/status.h>

#include "net/result.h"

namespace millrace::api {

grpc::Status to_status(const net::Error& error);
template <typename T>
grpc::Status to_status(const net::Result<T>& result) {
  return result.ok() ? grpc::Status::OK : to_status(result.error());
}

/// `status` must not be OK.
net::Error to_error(const grpc::Status& status);

}  // namespace millrace::api
