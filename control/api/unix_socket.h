/// gRPC over unix sockets: how every daemon listens and every client connects.
///
/// Shape:   a socket path is at most kSocketPathLimitBytes long (sun_path with its end mark, unix(7)). The server's
///          socket has mode 0660. PATH.lock, held with flock(2), says which process the socket belongs to: the kernel
///          lets go of it when that process ends, however it ends, so a socket file left behind is known to be stale.
/// Errors:  kAlreadyExists when another process serves the same path; kInvalidArgument for a path that cannot be;
///          kFailedPrecondition with the system's reason for the rest.
/// Thread:  listen: main, before other threads make files (it sets the umask for a moment). open_channel: any.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "net/result.h"

namespace millrace::api {

inline constexpr std::size_t kSocketPathLimitBytes = 107;
/// Largest message a server or a client takes; a longer one is answered RESOURCE_EXHAUSTED by gRPC. The desired state
/// of a full switch, a million backends in it, is about half of it.
inline constexpr int kMessageLimitBytes = 64 << 20;
/// Threads of a server, those that wait for requests included.
inline constexpr int kServerThreadLimit = 32;

/// The right to serve a path, held until destroyed. A daemon takes it before it takes anything large.
class SocketClaim {
 public:
  /// Makes the directory of `path` when it is not there, and removes a stale socket.
  static net::Result<SocketClaim> take(const std::string& path);
  SocketClaim(SocketClaim&& other) noexcept
      : path_(std::move(other.path_)), lock_fd_(std::exchange(other.lock_fd_, -1)) {}
  SocketClaim& operator=(SocketClaim&&) = delete;
  ~SocketClaim();
  const std::string& path() const noexcept { return path_; }

 private:
  SocketClaim(std::string path, int lock_fd) : path_(std::move(path)), lock_fd_(lock_fd) {}
  std::string path_;
  int lock_fd_;
};

/// A listening server. Stops at once when destroyed; `stop` gives running requests time to end.
class UnixServer {
 public:
  /// `service` must outlive the server.
  static net::Result<std::unique_ptr<UnixServer>> listen(SocketClaim claim, grpc::Service& service);
  static net::Result<std::unique_ptr<UnixServer>> listen(const std::string& path, grpc::Service& service);
  ~UnixServer();
  UnixServer(const UnixServer&) = delete;
  UnixServer& operator=(const UnixServer&) = delete;

  /// Takes no more requests, lets those that run end until `grace` is over, then cancels them.
  void stop(std::chrono::milliseconds grace);

 private:
  explicit UnixServer(SocketClaim claim) : claim_(std::move(claim)) {}
  SocketClaim claim_;
  std::unique_ptr<grpc::Server> server_;
};

/// A channel to the server at `path`; connects when first used. Requests fail with kUnavailable while nobody serves.
std::shared_ptr<grpc::Channel> open_channel(const std::string& path);

}  // namespace millrace::api
