#include "control/agent/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace millrace::control::agent {

net::Result<FileLock> FileLock::take(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return net::permission_denied(path + ": cannot be opened: " + std::strerror(errno));
  FileLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return net::failed_precondition(path + ": another millrace-agent holds it");
  return net::internal_error(path + ": cannot be locked: " + std::strerror(errno));
}

FileLock::~FileLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace millrace::control::agent
