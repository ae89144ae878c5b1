#include "cni-shim/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cni-shim/text.h"

namespace millrace::cni_shim {

CallResult<UniqueFd> connect_unix(const std::string& path, const Deadline& deadline, std::string_view peer) {
  const auto failure = [&](GrpcCode code, const std::string& why) {
    return CallFailure{code, std::string(peer) + " cannot be reached at " + shown(path) + ": " + why};
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return failure(GrpcCode::kInvalidArgument, "the path is too long");
  std::copy(path.begin(), path.end(), address.sun_path);

  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return failure(GrpcCode::kInternal, std::strerror(errno));
  // A full listen queue makes connect(2) wait for as long as SO_SNDTIMEO says; 0 would mean for ever.
  const int wait_ms = std::max(1, deadline.remaining_ms());
  const timeval timeout{.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000L};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const int error = errno;
    if (error == EAGAIN) return failure(GrpcCode::kUnavailable, "it has too many callers");
    const bool denied = error == EACCES || error == EPERM;
    return failure(denied ? GrpcCode::kPermissionDenied : GrpcCode::kUnavailable, std::strerror(error));
  }
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
  return fd;
}

}  // namespace millrace::cni_shim
