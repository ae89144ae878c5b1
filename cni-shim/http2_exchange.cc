#include "cni-shim/http2_exchange.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace millrace::cni_shim {
namespace {

constexpr std::size_t kReadBytes = 16384;
constexpr std::size_t kMaxHeaderValueBytes = 256;  // of the headers kept, but for grpc-message

nghttp2_nv header(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));  // NOLINT: nghttp2 copies, never writes
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

std::string_view view(const std::uint8_t* bytes, std::size_t length) {
  return {reinterpret_cast<const char*>(bytes), length};
}

}  // namespace

Http2Exchange::Http2Exchange(int fd, std::string_view method, std::string_view body)
    : fd_(fd), method_(method), body_(body) {}

ssize_t Http2Exchange::on_read_body(nghttp2_session*, std::int32_t, std::uint8_t* buffer, std::size_t length,
                                    std::uint32_t* flags, nghttp2_data_source*, void* self) {
  auto& exchange = *static_cast<Self*>(self);
  const std::size_t count = std::min(length, exchange.body_.size());
  std::memcpy(buffer, exchange.body_.data(), count);
  exchange.body_.remove_prefix(count);
  if (exchange.body_.empty()) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    exchange.body_sent_ = true;
  }
  return static_cast<ssize_t>(count);
}

int Http2Exchange::on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                             std::size_t name_length, const std::uint8_t* value, std::size_t value_length, std::uint8_t,
                             void* self) {
  auto& exchange = *static_cast<Self*>(self);
  if (frame->hd.stream_id != exchange.stream_) return 0;
  const std::string_view key = view(name, name_length);
  const std::string_view text = view(value, value_length);
  Http2Answer& answer = exchange.answer_;
  if (key == ":status") answer.http_status = text.substr(0, kMaxHeaderValueBytes);
  if (key == "content-type") answer.content_type = text.substr(0, kMaxHeaderValueBytes);
  if (key == "grpc-status") answer.grpc_status = std::string(text.substr(0, kMaxHeaderValueBytes));
  if (key == "grpc-message") answer.grpc_message = text.substr(0, kMaxStatusMessageBytes);
  return 0;
}

int Http2Exchange::on_data(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* data,
                           std::size_t length, void* self) {
  auto& exchange = *static_cast<Self*>(self);
  if (stream != exchange.stream_) return 0;
  if (exchange.answer_.body.size() + length > kFrameHeaderBytes + kMaxReplyBytes) {
    exchange.too_long_ = true;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  exchange.answer_.body.append(view(data, length));
  return 0;
}

int Http2Exchange::on_stream_close(nghttp2_session*, std::int32_t stream, std::uint32_t error_code, void* self) {
  auto& exchange = *static_cast<Self*>(self);
  if (stream != exchange.stream_) return 0;
  exchange.closed_ = true;
  exchange.answer_.reset_code = error_code;
  return 0;
}

bool Http2Exchange::open_session() {
  nghttp2_session_callbacks* callbacks = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) return false;
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
  nghttp2_session* session = nullptr;
  const int error = nghttp2_session_client_new(&session, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  session_.reset(session);
  return error == 0;
}

bool Http2Exchange::submit(const Deadline& deadline) {
  const std::array<nghttp2_settings_entry, 1> settings = {{{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}}};
  if (nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, settings.data(), settings.size()) != 0) return false;
  const std::string timeout = std::to_string(deadline.remaining_ms()) + "m";  // milliseconds
  const std::array<nghttp2_nv, 8> headers = {header(":method", "POST"),
                                             header(":scheme", "http"),
                                             header(":path", method_),
                                             header(":authority", "localhost"),
                                             header("te", "trailers"),
                                             header("grpc-timeout", timeout),
                                             header("content-type", "application/grpc"),
                                             header("user-agent", "millrace-cni/" MILLRACE_VERSION)};
  nghttp2_data_provider body{};
  body.read_callback = on_read_body;
  stream_ = nghttp2_submit_request(session_.get(), nullptr, headers.data(), headers.size(), &body, nullptr);
  return stream_ > 0;
}

CallFailure Http2Exchange::failure(GrpcCode code, std::string message) const {
  return {code, std::move(message), /*maybe_executed=*/body_sent_, /*not_grpc=*/false};
}

CallFailure Http2Exchange::not_http2() const {
  CallFailure broken = failure(GrpcCode::kInternal, "what listens on the agent's socket does not speak gRPC (HTTP/2)");
  broken.not_grpc = true;
  return broken;
}

std::optional<CallFailure> Http2Exchange::send_pending() {
  while (true) {
    if (unsent_.empty()) {
      const std::uint8_t* bytes = nullptr;
      const ssize_t count = nghttp2_session_mem_send(session_.get(), &bytes);
      if (count < 0) return not_http2();
      if (count == 0) return std::nullopt;
      unsent_ = view(bytes, static_cast<std::size_t>(count));
    }
    const ssize_t count = ::send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return std::nullopt;
    if (count < 0) return failure(GrpcCode::kUnavailable, "the agent closed the connection before it answered");
    unsent_.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::optional<CallFailure> Http2Exchange::receive_available() {
  std::array<std::uint8_t, kReadBytes> buffer;
  const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  if (count <= 0) return failure(GrpcCode::kUnavailable, "the agent closed the connection before it answered");
  const ssize_t used = nghttp2_session_mem_recv(session_.get(), buffer.data(), static_cast<std::size_t>(count));
  if (too_long_) {
    CallFailure broken = not_http2();
    broken.message = "the agent's answer is longer than " + std::to_string(kMaxReplyBytes) + " bytes";
    return broken;
  }
  if (used < 0) return not_http2();
  return std::nullopt;
}

CallResult<Http2Answer> Http2Exchange::run(const Deadline& deadline) {
  if (!open_session() || !submit(deadline)) return failure(GrpcCode::kInternal, "no memory for an HTTP/2 session");
  while (!closed_) {
    // A peer that goes away may have answered first: what it sent is read before a failed write counts.
    const auto write_failure = send_pending();
    nghttp2_session* session = session_.get();
    if (!write_failure && !nghttp2_session_want_read(session) && !nghttp2_session_want_write(session)) {
      return not_http2();  // nghttp2 gave the connection up for a protocol error
    }
    const bool write_waits = !write_failure && (!unsent_.empty() || nghttp2_session_want_write(session));
    pollfd wait{fd_, static_cast<short>(write_waits ? POLLIN | POLLOUT : POLLIN), 0};
    const int ready = ::poll(&wait, 1, deadline.remaining_ms());
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return failure(GrpcCode::kInternal, std::string("poll: ") + std::strerror(errno));
    if (ready == 0 || deadline.passed()) {
      return failure(GrpcCode::kDeadlineExceeded, "the agent did not answer in time");
    }
    if ((wait.revents & ~POLLOUT) == 0) continue;
    if (auto read_failure = receive_available()) return *read_failure;
  }
  return std::move(answer_);
}

}  // namespace millrace::cni_shim
