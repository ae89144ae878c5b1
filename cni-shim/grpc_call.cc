#include "cni-shim/grpc_call.h"

#include "cni-shim/http2_exchange.h"
#include "cni-shim/text.h"
#include "cni-shim/unix_socket.h"

namespace millrace::cni_shim {
namespace {

CallFailure not_grpc(std::string message) { return {GrpcCode::kInternal, std::move(message), true, true}; }

/// The status of a stream that ended without one.
CallFailure failure_without_status(const Http2Answer& answer) {
  if (answer.reset_code != 0) {
    const bool refused = answer.reset_code == NGHTTP2_REFUSED_STREAM;  // RFC 9113 8.7: no part of it was processed
    return {code_of_reset(answer.reset_code),
            std::string("the agent reset the call: ") + nghttp2_http2_strerror(answer.reset_code), !refused, false};
  }
  if (answer.http_status != "200")
    return not_grpc("the agent's socket answers with HTTP status " + shown(answer.http_status));
  return not_grpc("the agent's answer has no grpc-status");
}

CallResult<std::string> reply_of(const Http2Answer& answer) {
  if (!answer.grpc_status) return failure_without_status(answer);
  const GrpcCode code = parse_grpc_status(*answer.grpc_status);
  if (code != GrpcCode::kOk) {
    // These a gRPC server also says by itself, of calls it cuts off when it stops: they leave open how far the call
    // came.
    const bool open_end =
        code == GrpcCode::kDeadlineExceeded || code == GrpcCode::kCancelled || code == GrpcCode::kUnavailable;
    return CallFailure{code, percent_decoded(answer.grpc_message), open_end, false};
  }
  if (!answer.content_type.starts_with("application/grpc")) {
    return not_grpc("the agent's answer has content-type " + shown(answer.content_type));
  }
  auto message = unframed(answer.body);
  if (!message) return not_grpc(message.error().message);
  return message;
}

}  // namespace

CallResult<std::string> unary_call(const std::string& socket_path, std::string_view method, std::string_view request,
                                   std::chrono::milliseconds timeout) {
  const Deadline deadline(timeout);
  const auto socket = connect_unix(socket_path, deadline);
  if (!socket) return socket.error();
  const std::string body = framed(request);
  Http2Exchange exchange(socket->get(), method, body);
  const auto answer = exchange.run(deadline);
  if (!answer) return answer.error();
  return reply_of(*answer);
}

}  // namespace millrace::cni_shim
