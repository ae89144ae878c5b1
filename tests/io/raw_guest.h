/// RawGuest: a vhost-user guest's end of the socket and nothing behind it, for messages as no front end sends them.
///
/// Source:  QEMU, docs/interop/vhost-user.rst ("Message Specification"); unix(7), SCM_RIGHTS.
#pragma once

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace millrace::tests {

class RawGuest {
 public:
  static constexpr std::uint32_t kVersion = 1, kNeedsReply = 8;
  static constexpr std::uint32_t kGetFeatures = 1, kSetMemTable = 5, kSetVringNum = 8, kSetVringCall = 13;
  struct Header {
    std::uint32_t request, flags, bytes;
  };
  using Words = std::vector<std::uint32_t>;

  explicit RawGuest(const std::string& path) : RawGuest(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_un address = address_of(path);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
    }
  }
  ~RawGuest() { hang_up(); }
  RawGuest(const RawGuest&) = delete;
  RawGuest& operator=(const RawGuest&) = delete;
  void hang_up() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

  /// The guest that listens, once the switch has come.
  class Listener {
   public:
    explicit Listener(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
      const sockaddr_un address = address_of(path);
      if (::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
          ::listen(socket_, 1) != 0) {
        throw std::runtime_error("listen");
      }
    }
    ~Listener() { ::close(socket_); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    RawGuest accept() { return RawGuest(::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC)); }

   private:
    int socket_;
  };

  /// False: the switch has hung up, or has read nothing for kPatience.
  bool send(const Header& header, const Words& payload = {}, std::span<const int> descriptors = {}) {
    return send(std::span(reinterpret_cast<const std::byte*>(&header), sizeof header), descriptors,
                std::as_bytes(std::span(payload)));
  }
  bool send(std::span<const std::byte> bytes, std::span<const int> descriptors = {},
            std::span<const std::byte> more = {}) {
    iovec parts[] = {{const_cast<std::byte*>(bytes.data()), bytes.size()},
                     {const_cast<std::byte*>(more.data()), more.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostDescriptors * sizeof(int))> control{};
    if (!descriptors.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
      cmsghdr* entry = CMSG_FIRSTHDR(&message);
      entry->cmsg_level = SOL_SOCKET;
      entry->cmsg_type = SCM_RIGHTS;
      entry->cmsg_len = CMSG_LEN(descriptors.size_bytes());
      std::memcpy(CMSG_DATA(entry), descriptors.data(), descriptors.size_bytes());
    }
    return ::sendmsg(socket_, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size() + more.size());
  }
  /// The switch has taken all that was sent.
  bool is_all_read() const {
    int waiting = 0;
    return ::ioctl(socket_, SIOCOUTQ, &waiting) == 0 && waiting == 0;
  }
  /// Sends nothing more.
  void end() { ::shutdown(socket_, SHUT_WR); }
  /// The number that the switch answers; all ones: it hangs up, or is silent.
  std::uint64_t answer() {
    struct [[gnu::packed]] {
      Header header;
      std::uint64_t value;
    } answered{};
    const ssize_t got = ::recv(socket_, &answered, sizeof answered, MSG_WAITALL);
    return got == static_cast<ssize_t>(sizeof answered) ? answered.value : ~std::uint64_t{0};
  }
  /// False: it does not for kPatience.
  bool is_hung_up_on() {
    std::array<std::byte, 4096> answers;
    ssize_t got = 0;
    while ((got = ::recv(socket_, answers.data(), answers.size(), 0)) > 0) {}
    return got == 0 || errno == ECONNRESET;
  }

  static constexpr timeval kPatience{10, 0};
  static constexpr std::size_t kMostDescriptors = 16;

 private:
  explicit RawGuest(int socket) : socket_(socket) {
    if (socket_ < 0) throw std::runtime_error("socket");
    for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
      ::setsockopt(socket_, SOL_SOCKET, option, &kPatience, sizeof kPatience);
    }
  }
  static sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
  }
  int socket_;
};

}  // namespace millrace::tests
