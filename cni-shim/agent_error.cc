#include "cni-shim/agent_error.h"

namespace millrace::cni_shim {
namespace {

CniCode code_of(const CallFailure& failure) noexcept {
  if (failure.not_grpc) return CniCode::kIoFailure;
  switch (failure.code) {
    case GrpcCode::kUnavailable:
    case GrpcCode::kDeadlineExceeded:
    case GrpcCode::kCancelled:
    case GrpcCode::kAborted: return CniCode::kTryAgainLater;
    case GrpcCode::kInvalidArgument:
    case GrpcCode::kOutOfRange: return CniCode::kInvalidConfig;
    case GrpcCode::kNotFound: return CniCode::kUnknownContainer;
    case GrpcCode::kAlreadyExists: return CniCode::kAlreadyExists;
    case GrpcCode::kResourceExhausted: return CniCode::kExhausted;
    case GrpcCode::kFailedPrecondition: return CniCode::kDiffers;
    case GrpcCode::kPermissionDenied:
    case GrpcCode::kUnauthenticated: return CniCode::kNotPermitted;
    case GrpcCode::kUnimplemented: return CniCode::kAgentMismatch;
    case GrpcCode::kOk:
    case GrpcCode::kUnknown:
    case GrpcCode::kInternal:
    case GrpcCode::kDataLoss: return CniCode::kAgentFailure;
  }
  return CniCode::kAgentFailure;
}

}  // namespace

CniError error_of(const CallFailure& failure) {
  CniError error{code_of(failure), failure.message, ""};
  if (error.message.empty()) error.message = "millrace-agent gave no reason";
  if (!failure.not_grpc) error.details = "gRPC status " + std::to_string(static_cast<int>(failure.code));
  return error;
}

CniError status_error_of(const CallFailure& failure) {
  CniError error = error_of(failure);
  error.code = CniCode::kNotAvailable;
  return error;
}

CniError not_ready_error(const AgentReadiness& readiness) {
  const CniCode code = readiness.switch_connected ? CniCode::kNotAvailable : CniCode::kNotAvailableLimited;
  const std::string why = readiness.message.empty() ? "" : ": " + readiness.message;
  return {code, "millrace-agent is not ready to add pods" + why, ""};
}

}  // namespace millrace::cni_shim
