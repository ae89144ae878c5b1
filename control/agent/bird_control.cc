#include "control/agent/bird_control.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

namespace millrace::control::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kAnswerLimitBytes = 64 * 1024;
constexpr std::string_view kGreeting = "0001";

class Line {
 public:
  Line(const std::string& path, std::chrono::milliseconds timeout) : path_(path), end_(Clock::now() + timeout) {}
  ~Line() {
    if (fd_ >= 0) close(fd_);
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  net::Result<void> connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path) return net::invalid_argument(path_ + ": is too long for a socket");
    std::memcpy(address.sun_path, path_.data(), path_.size());
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // Not blocking: a queue that is full (EAGAIN) is a BIRD that does not answer.
    if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return failed();
    return {};
  }
  net::Result<void> send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        text.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno != EAGAIN) {
        return failed();
      } else if (auto ready = wait_for(POLLOUT); !ready) {
        return ready;
      }
    }
    return {};
  }
  /// Up to the line that ends an answer.
  net::Result<std::string> answer() {
    while (true) {
      if (auto whole = take_answer()) return *std::move(whole);
      if (received_.size() > kAnswerLimitBytes) return net::unavailable(path_ + ": an answer without end");
      if (auto ready = wait_for(POLLIN); !ready) return ready.error();
      char buffer[4096];
      const ssize_t count = recv(fd_, buffer, sizeof buffer, 0);
      if (count == 0) return net::unavailable(path_ + ": BIRD closed the connection");
      if (count < 0 && errno != EAGAIN) return failed();
      if (count > 0) received_.append(buffer, static_cast<std::size_t>(count));
    }
  }

 private:
  net::Error failed() const { return net::unavailable(path_ + ": " + std::strerror(errno)); }
  net::Result<void> wait_for(short events) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now());
    pollfd waited{fd_, events, 0};
    const int count = left.count() > 0 ? poll(&waited, 1, static_cast<int>(left.count())) : 0;
    if (count < 0 && errno != EINTR) return failed();
    if (count == 0) return net::unavailable(path_ + ": BIRD does not answer");
    return {};
  }
  std::optional<std::string> take_answer() {
    for (std::size_t begin = 0, end; (end = received_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const std::string_view line(received_.data() + begin, end - begin);
      if (line.size() < 5 || line[0] == ' ' || line[4] != ' ') continue;
      std::string whole = received_.substr(0, end);
      received_.erase(0, end + 1);
      return whole;
    }
    return std::nullopt;
  }

  const std::string path_;
  const Clock::time_point end_;
  int fd_ = -1;
  std::string received_;
};

}  // namespace

net::Result<void> tell_bird_to_configure(const std::string& control_socket, std::chrono::milliseconds timeout) {
  Line line(control_socket, timeout);
  if (auto connected = line.connect(); !connected) return connected;
  auto greeting = line.answer();
  if (!greeting) return greeting.error();
  if (!greeting->starts_with(kGreeting)) return net::unavailable(control_socket + ": is not BIRD: " + *greeting);
  if (auto sent = line.send("configure\n"); !sent) return sent;
  auto answer = line.answer();
  if (!answer) return answer.error();
  const std::size_t last = answer->rfind('\n') == std::string::npos ? 0 : answer->rfind('\n') + 1;
  if ((*answer)[last] == '0') return {};
  return net::failed_precondition("BIRD: " + answer->substr(last));
}

}  // namespace millrace::control::agent
