/// A pod's network namespace, and work done inside of it.
///
/// Shape:   an open file descriptor of /proc/PID/ns/net or of a bind mount of it.
/// Errors:  kNotFound when the path is not there, kInvalidArgument when it is no network namespace or the
///          agent's own.
/// Thread:  any. Work inside runs on a thread of its own that ends there: setns(2) changes the calling thread only, so
///          no thread that does anything else is ever in a pod's namespace, whatever fails on the way.
#pragma once

#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "net/result.h"

namespace millrace::control::agent {

class Netns {
 public:
  static net::Result<Netns> open(const std::string& path);
  Netns(Netns&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Netns& operator=(Netns&&) = delete;
  ~Netns();

  int fd() const { return fd_; }

  /// Calls `work`, a function that returns some net::Result, inside of the namespace, and waits for it.
  /// /proc/sys/net is the namespace's too there.
  template <typename Work>
  std::invoke_result_t<Work> run(Work work) const {
    std::invoke_result_t<Work> result = net::internal_error("netns: the thread did not run");
    std::thread thread([&] {
      net::Result<void> entered = enter();
      if (entered) {
        result = work();
      } else {
        result = entered.error();
      }
    });
    thread.join();
    return result;
  }

 private:
  explicit Netns(int fd) : fd_(fd) {}
  net::Result<void> enter() const;
  int fd_;
};

}  // namespace millrace::control::agent
