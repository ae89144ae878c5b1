/// One holder of a file at a time, for as long as the holder's process lives.
///
/// Shape:   flock(2) exclusive on a file that is made if needed and never removed (removing it would let two holders
///          in); the kernel lets go of it when the process ends, however it ends.
/// Errors:  kFailedPrecondition when another process holds it.
/// Thread:  any; one object one thread.
#pragma once

#include <string>

#include "net/result.h"

namespace millrace::control::agent {

class FileLock {
 public:
  static net::Result<FileLock> take(const std::string& path);
  FileLock(FileLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace millrace::control::agent
