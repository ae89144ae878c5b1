#include "control/cli/ready_socket.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

namespace millrace::control::cli {

net::Result<ReadySocket> ReadySocket::open() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t length = sizeof address.sun_family;  // no name: the kernel chooses an abstract one
  const int on = 1;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      (length = sizeof address, ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length)) != 0) {
    return net::failed_precondition(fmt::format("cannot make a notification socket: {}", std::strerror(errno)));
  }
  const std::size_t name_bytes = length - offsetof(sockaddr_un, sun_path);
  std::string name(address.sun_path, name_bytes);
  name[0] = '@';  // how NOTIFY_SOCKET writes the 0 of an abstract name
  return ReadySocket(std::move(fd), std::move(name));
}

std::optional<pid_t> ReadySocket::take() {
  std::array<char, 4096> text{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
  iovec part{.iov_base = text.data(), .iov_len = text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
  if (got <= 0) return std::nullopt;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_CREDENTIALS)
    return std::nullopt;
  ucred sender{};
  std::memcpy(&sender, CMSG_DATA(header), sizeof sender);

  std::string_view lines(text.data(), static_cast<std::size_t>(got));
  while (!lines.empty()) {
    const std::size_t end = lines.find('\n');
    if (lines.substr(0, end) == "READY=1") return sender.pid;
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
  }
  return std::nullopt;
}

}  // namespace millrace::control::cli
