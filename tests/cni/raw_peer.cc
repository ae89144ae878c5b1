#include "tests/cni/raw_peer.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

namespace millrace::cni_shim::testing {

RawPeer::RawPeer(const std::string& socket_path, std::function<void(int)> script)
    : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(socket_path.begin(), socket_path.end(), address.sun_path);
  EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0) << socket_path;
  EXPECT_EQ(::listen(listener_, 1), 0);
  thread_ = std::thread([this, script = std::move(script)] {
    const int fd = ::accept(listener_, nullptr, nullptr);
    if (fd < 0) return;
    script(fd);
    ::close(fd);
  });
}

RawPeer::~RawPeer() {
  ::shutdown(listener_, SHUT_RDWR);  // wakes an accept nobody came to
  thread_.join();
  ::close(listener_);
}

void write_all(int fd, const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;
    sent += static_cast<std::size_t>(count);
  }
}

std::string read_at_least(int fd, std::size_t count) {
  std::string bytes;
  char buffer[4096];
  while (bytes.size() < count) {
    const ssize_t got = ::read(fd, buffer, sizeof(buffer));
    if (got <= 0) break;
    bytes.append(buffer, static_cast<std::size_t>(got));
  }
  return bytes;
}

void read_until(int fd, const std::string& marker) {
  std::string bytes;
  while (bytes.find(marker) == std::string::npos) {
    const std::string more = read_at_least(fd, 1);
    if (more.empty()) return;
    bytes += more;
  }
}

void read_to_end(int fd) { read_at_least(fd, static_cast<std::size_t>(-1)); }

}  // namespace millrace::cni_shim::testing
