/// One HTTP/2 request and its answer over a connected socket: libnghttp2 reads and writes the frames, this class moves
/// the bytes and keeps what gRPC needs of the answer.
///
/// Thread:  one; `run` is called once.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cni-shim/deadline.h"
#include "cni-shim/grpc_wire.h"

namespace millrace::cni_shim {

/// What came back on the stream.
struct Http2Answer {
  std::string http_status;
  std::string content_type;
  std::optional<std::string> grpc_status;
  std::string grpc_message;      // still percent-encoded, at most kMaxStatusMessageBytes
  std::string body;              // at most kFrameHeaderBytes + kMaxReplyBytes
  std::uint32_t reset_code = 0;  // of RST_STREAM; 0: the stream ended by itself
};

class Http2Exchange {
 public:
  /// `fd` is connected and non-blocking; `body` outlives this object.
  Http2Exchange(int fd, std::string_view method, std::string_view body);
  Http2Exchange(const Http2Exchange&) = delete;
  Http2Exchange& operator=(const Http2Exchange&) = delete;

  /// Error: the deadline passed, the peer closed or broke the connection, or does not speak HTTP/2.
  CallResult<Http2Answer> run(const Deadline& deadline);

 private:
  struct SessionDelete {
    void operator()(nghttp2_session* session) const noexcept { nghttp2_session_del(session); }
  };
  using Self = Http2Exchange;

  static ssize_t on_read_body(nghttp2_session*, std::int32_t, std::uint8_t* buffer, std::size_t length,
                              std::uint32_t* flags, nghttp2_data_source*, void* self);
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_length,
                       const std::uint8_t* value, std::size_t value_length, std::uint8_t, void* self);
  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* data, std::size_t length,
                     void* self);
  static int on_stream_close(nghttp2_session*, std::int32_t stream, std::uint32_t error_code, void* self);

  bool open_session();
  bool submit(const Deadline& deadline);
  std::optional<CallFailure> send_pending();
  std::optional<CallFailure> receive_available();
  CallFailure failure(GrpcCode code, std::string message) const;
  CallFailure not_http2() const;

  int fd_;
  std::string method_;
  std::string_view body_;
  std::unique_ptr<nghttp2_session, SessionDelete> session_;
  std::int32_t stream_ = 0;
  std::string_view unsent_;  // of nghttp2's buffer, which lives until its next mem_send
  bool body_sent_ = false;   // from here on the server may act
  bool closed_ = false;
  bool too_long_ = false;
  Http2Answer answer_;
};

}  // namespace millrace::cni_shim
