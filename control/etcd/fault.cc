#include "control/etcd/fault.h"

#include <fmt/format.h>

#include <string_view>

namespace millrace::control::etcd {
namespace {

using grpc::StatusCode;

// What gRPC says of a call that no connection ever took. Should it once say it in other words, then such a write is
// reported as of unknown outcome: true, though less useful.
bool is_unconnected(std::string_view message) {
  return message.starts_with("failed to connect to all addresses") || message.starts_with("DNS resolution failed") ||
         message.starts_with("empty address list");
}

bool is_refusal(std::string_view message) {
  return message == "etcdserver: no leader" || message == "etcdserver: not capable" ||
         message == "etcdserver: rpc not supported for learner";
}

}  // namespace

Fault fault_of(const grpc::Status& status) {
  const std::string& message = status.error_message();
  switch (status.error_code()) {
    case StatusCode::UNAVAILABLE:
      if (is_unconnected(message)) return Fault::kUnreachable;
      return is_refusal(message) ? Fault::kRefused : Fault::kUnknown;
    case StatusCode::RESOURCE_EXHAUSTED:
      return message == "etcdserver: too many requests" ? Fault::kRefused : Fault::kAnswer;
    case StatusCode::UNAUTHENTICATED: return Fault::kToken;
    case StatusCode::INVALID_ARGUMENT:
      return message == "etcdserver: revision of auth store is old" ? Fault::kToken : Fault::kAnswer;
    case StatusCode::OUT_OF_RANGE:
    case StatusCode::NOT_FOUND:
    case StatusCode::ALREADY_EXISTS:
    case StatusCode::PERMISSION_DENIED:
    case StatusCode::FAILED_PRECONDITION:
    case StatusCode::UNIMPLEMENTED: return Fault::kAnswer;
    default: return Fault::kUnknown;
  }
}

std::string reason_of(const grpc::Status& status) {
  const std::string& message = status.error_message();
  if (fault_of(status) == Fault::kUnreachable) {
    if (const std::size_t at = message.find("last error: "); at != std::string::npos) return message.substr(at + 12);
    return message;
  }
  if (status.error_code() == StatusCode::DEADLINE_EXCEEDED) return "no answer in time";
  std::string_view text = message;
  if (text.starts_with("etcdserver: ")) text.remove_prefix(12);
  return text.empty() ? fmt::format("gRPC status {}", static_cast<int>(status.error_code())) : std::string(text);
}

net::Error to_error(const grpc::Status& status, const std::string& url) {
  const std::string& message = status.error_message();
  std::string text = fmt::format("etcd {}: {}", url, reason_of(status));
  switch (status.error_code()) {
    case StatusCode::UNAUTHENTICATED:
    case StatusCode::PERMISSION_DENIED: return net::permission_denied(std::move(text));
    case StatusCode::INVALID_ARGUMENT:
      if (message == "etcdserver: user name is empty") return net::permission_denied(text + " (it wants etcd.user)");
      if (message.starts_with("etcdserver: authentication failed") || fault_of(status) == Fault::kToken) {
        return net::permission_denied(std::move(text));
      }
      return net::invalid_argument(std::move(text));
    case StatusCode::OUT_OF_RANGE:
      if (message.find("compacted") != std::string::npos) return net::failed_precondition(text + ": compacted");
      return net::invalid_argument(std::move(text));
    case StatusCode::NOT_FOUND: return net::not_found(std::move(text));
    case StatusCode::ALREADY_EXISTS: return net::already_exists(std::move(text));
    case StatusCode::RESOURCE_EXHAUSTED: return net::resource_exhausted(std::move(text));
    case StatusCode::FAILED_PRECONDITION:
    case StatusCode::UNIMPLEMENTED: return net::failed_precondition(std::move(text));
    default: return net::internal_error(std::move(text));
  }
}

}  // namespace millrace::control::etcd
