/// Result<T>: what control code returns, a value or an error a person can read.
///
/// Shape:   Error is a code (the subset of the gRPC canonical codes this project uses, same meaning) and one
///          sentence that names the field and the limit.
/// Thread:  plain values, any thread.
/// A room whose callers fix the error codes themselves (cni-shim: the CNI specification) names its own error type as E.
/// The datapath never returns a Result; it returns a net::Drop.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace millrace::net {

enum class ErrorCode {
  kInvalidArgument,
  kNotFound,
  kAlreadyExists,
  kResourceExhausted,
  kFailedPrecondition,
  kPermissionDenied,
  kUnavailable,
  kDeadlineExceeded,  // not finished in time: may be done already, or be done later
  kInternal,
};

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // one sentence, no trailing full stop or newline
};

template <typename T, typename E = Error>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(E error) : state_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const noexcept { return std::holds_alternative<T>(state_); }
  explicit operator bool() const noexcept { return ok(); }

  const T& value() const& {
    assert(ok());
    return *std::get_if<T>(&state_);
  }
  T& value() & {
    assert(ok());
    return *std::get_if<T>(&state_);
  }
  T&& value() && {
    assert(ok());
    return std::move(*std::get_if<T>(&state_));
  }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }

  const E& error() const {
    assert(!ok());
    return *std::get_if<E>(&state_);
  }

 private:
  std::variant<T, E> state_;
};

/// Result of something that yields nothing but success.
template <typename E>
class [[nodiscard]] Result<void, E> {
 public:
  Result() = default;
  Result(E error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const noexcept { return !error_; }
  explicit operator bool() const noexcept { return ok(); }
  const E& error() const {
    assert(!ok());
    return *error_;
  }

 private:
  std::optional<E> error_;
};

inline Error invalid_argument(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }
inline Error not_found(std::string message) { return {ErrorCode::kNotFound, std::move(message)}; }
inline Error already_exists(std::string message) { return {ErrorCode::kAlreadyExists, std::move(message)}; }
inline Error resource_exhausted(std::string message) { return {ErrorCode::kResourceExhausted, std::move(message)}; }
inline Error failed_precondition(std::string message) { return {ErrorCode::kFailedPrecondition, std::move(message)}; }
inline Error permission_denied(std::string message) { return {ErrorCode::kPermissionDenied, std::move(message)}; }
inline Error unavailable(std::string message) { return {ErrorCode::kUnavailable, std::move(message)}; }
inline Error deadline_exceeded(std::string message) { return {ErrorCode::kDeadlineExceeded, std::move(message)}; }
inline Error internal_error(std::string message) { return {ErrorCode::kInternal, std::move(message)}; }

}  // namespace millrace::net
