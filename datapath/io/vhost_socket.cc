#include "datapath/io/vhost_socket.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "datapath/io/vhost_link.h"
#include "datapath/io/vhost_links.h"
#include "datapath/io/vhost_message.h"
#include "datapath/io/wait_budget.h"

// The linker's names (ld, --wrap): whoever calls NAME() calls __wrap_NAME(), and __real_NAME() is what it would call.
extern "C" {
int __real_read_fd_message(char* path, int socket, char* buffer, int bytes, int* descriptors, int limit, int* count);
int __wrap_read_fd_message(char* path, int socket, char* buffer, int bytes, int* descriptors, int limit, int* count);
int __real_send_fd_message(char* path, int socket, char* buffer, int bytes, int* descriptors, int count);
int __wrap_send_fd_message(char* path, int socket, char* buffer, int bytes, int* descriptors, int count);
ssize_t __real_read(int descriptor, void* buffer, std::size_t bytes);
ssize_t __wrap_read(int descriptor, void* buffer, std::size_t bytes);
}

namespace millrace::datapath::io::vhost_socket {
namespace {

using Clock = WaitBudget::Clock;

constexpr int kNone = -1;
constexpr std::uint32_t kMostBytes = VhostMessage::kPayloadBytes;  // DPDK refuses what says more

/// Of the message that the thread is reading.
struct Payload {
  int socket = kNone;  // DPDK's next read() from it is for this payload
  std::uint32_t bytes = 0;
  std::array<std::byte, kMostBytes> data{};
};
constinit thread_local Payload payload;

struct Left {
  unsigned count = 0;
  std::array<int, VhostMessage::kDescriptors> descriptors{};
};
constinit thread_local Left left;

/// Waits until `events` may be, as long as the budget lets it. False: not in time.
bool wait(WaitBudget& budget, int socket, short events) noexcept {
  static_assert(WaitBudget::kWait < std::chrono::seconds(1));
  for (;;) {
    const Clock::time_point begin = Clock::now();
    const timespec most{0, std::chrono::nanoseconds(budget.left(begin)).count()};
    pollfd watched{socket, events, 0};
    const int ready = ::ppoll(&watched, 1, &most, nullptr);
    budget.spend(Clock::now() - begin);
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

bool receive_payload(WaitBudget& budget, int socket, std::uint32_t bytes) noexcept {
  for (std::uint32_t got = 0; got < bytes;) {
    const ssize_t part = ::recv(socket, payload.data.data() + got, bytes - got, MSG_DONTWAIT);
    if (part > 0) {
      got += static_cast<std::uint32_t>(part);
    } else if (part == 0 || (errno != EAGAIN && errno != EINTR) || !wait(budget, socket, POLLIN)) {
      return false;
    }
  }
  payload.socket = socket;
  payload.bytes = bytes;
  return true;
}

/// Its connection ends. Told once in a window, for a guest may go on and on.
void refuse(VhostLink& link, const char* path, const char* what) {
  link.refusals.fetch_add(1);
  const Clock::time_point now = Clock::now();
  if (now < link.slowness_told_until) return;
  link.slowness_told_until = now + WaitBudget::kWindow;
  spdlog::warn("vhost-user socket {}: its guest {} (it is waited for {} ms in {} s): its connection ends", path, what,
               WaitBudget::kWait.count(), WaitBudget::kWindow.count());
}

void close_all(std::span<int> descriptors) noexcept {
  for (int& descriptor : descriptors) {
    if (descriptor >= 0) ::close(descriptor);
    descriptor = kNone;
  }
}

}  // namespace

void hand_over() noexcept { left.count = 0; }

void close_left() noexcept {
  close_all(std::span(left.descriptors).first(left.count));
  left.count = 0;
}

namespace {

/// What read_fd_message is to return once the header is there.
bool is_message_whole(const char* path, int socket, const VhostMessage::Header& header) {
  payload.socket = kNone;
  if (header.bytes == 0 || header.bytes > kMostBytes) return true;
  const auto link = std::static_pointer_cast<VhostLink>(VhostLinks::all().at(path));
  WaitBudget closing;  // nobody has the port any more
  if (receive_payload(link == nullptr ? closing : link->patience, socket, header.bytes)) return true;
  if (link != nullptr) refuse(*link, path, "sends a part of a message and not the rest");
  return false;
}

}  // namespace
}  // namespace millrace::datapath::io::vhost_socket

extern "C" int __wrap_read_fd_message(char* path, int socket, char* buffer, int bytes, int* descriptors, int limit,
                                      int* count) {
  using namespace millrace::datapath::io;
  using namespace millrace::datapath::io::vhost_socket;
  const int got = __real_read_fd_message(path, socket, buffer, bytes, descriptors, limit, count);
  VhostMessage::Header header;
  if (got != static_cast<int>(sizeof header)) return got;  // DPDK ends the connection
  std::memcpy(&header, buffer, sizeof header);
  const std::span<int> came(descriptors, static_cast<std::size_t>(std::clamp(*count, 0, limit)));
  if (!is_message_whole(path, socket, header)) {
    close_all(came);
    *count = 0;
    errno = ETIMEDOUT;
    return -1;
  }
  // One with a wrong length DPDK closes them of.
  left.count = header.bytes <= kMostBytes ? static_cast<unsigned>(std::min(came.size(), left.descriptors.size())) : 0;
  std::copy_n(came.begin(), left.count, left.descriptors.begin());
  return got;
}

extern "C" int __wrap_send_fd_message(char* path, int socket, char* buffer, int bytes, int* descriptors, int count) {
  using namespace millrace::datapath::io;
  using namespace millrace::datapath::io::vhost_socket;
  pollfd writable{socket, POLLOUT, 0};
  if (::poll(&writable, 1, 0) <= 0) {
    const auto link = std::static_pointer_cast<VhostLink>(VhostLinks::all().at(path));
    if (link == nullptr || !wait(link->patience, socket, POLLOUT)) {
      // What it has asked already is answered no more, and then DPDK reads that the connection has ended.
      ::shutdown(socket, SHUT_RDWR);
      if (link != nullptr) refuse(*link, path, "does not read what it is answered");
      errno = EAGAIN;
      return -1;
    }
  }
  return __real_send_fd_message(path, socket, buffer, bytes, descriptors, count);
}

extern "C" ssize_t __wrap_read(int descriptor, void* buffer, std::size_t bytes) {
  using millrace::datapath::io::vhost_socket::payload;
  if (payload.socket == -1 || payload.socket != descriptor) [[likely]]
    return __real_read(descriptor, buffer, bytes);
  payload.socket = -1;
  const std::size_t count = std::min<std::size_t>(bytes, payload.bytes);
  std::memcpy(buffer, payload.data.data(), count);
  return static_cast<ssize_t>(count);
}
