/// gRPC over HTTP/2, the parts that are bytes: status codes, the message frame, the percent coding of grpc-message.
///
/// Source:  gRPC "PROTOCOL-HTTP2.md" (Length-Prefixed-Message, Status-Message, HTTP2 error codes), "statuscodes.md".
/// Thread:  pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/result.h"

namespace millrace::cni_shim {

enum class GrpcCode : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

/// A call that brought no message.
struct CallFailure {
  GrpcCode code = GrpcCode::kUnknown;
  std::string message;
  bool maybe_executed = false;  // the agent may have done what was asked, or may still do it
  bool not_grpc = false;        // the peer does not follow the protocol; `code` says nothing then
};

template <typename T>
using CallResult = net::Result<T, CallFailure>;

inline constexpr std::size_t kFrameHeaderBytes = 5;                  // compressed flag, length in network order
inline constexpr std::size_t kMaxReplyBytes = std::size_t{4} << 20;  // gRPC's own default
inline constexpr std::size_t kMaxStatusMessageBytes = 8192;

/// Decimal digits of grpc-status; kUnknown for what is no code.
GrpcCode parse_grpc_status(std::string_view text) noexcept;

/// %HH becomes its byte; a '%' that no two hex digits follow stays as it is, as the protocol asks of readers.
std::string percent_decoded(std::string_view text);

/// `payload` behind its frame header. Precondition: shorter than 4 GiB.
std::string framed(std::string_view payload);

/// The payload of a body that must be exactly one uncompressed message.
CallResult<std::string> unframed(std::string_view body);

/// HTTP/2 error code of RST_STREAM -> status, for a stream that was reset before its grpc-status.
GrpcCode code_of_reset(std::uint32_t http2_error) noexcept;

}  // namespace millrace::cni_shim
