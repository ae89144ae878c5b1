#include "control/agent/netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace millrace::control::agent {

net::Result<Netns> Netns::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    std::string message = "netns: " + path + " cannot be opened: " + std::strerror(errno);
    if (errno == ENOENT || errno == ENOTDIR || errno == ESRCH) return net::not_found(std::move(message));
    return net::invalid_argument(std::move(message));
  }
  Netns netns(fd);
  if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
    return net::invalid_argument("netns: " + path + " is not a network namespace");
  }
  struct stat theirs {};
  struct stat ours {};
  if (fstat(fd, &theirs) == 0 && stat("/proc/self/ns/net", &ours) == 0 && theirs.st_dev == ours.st_dev &&
      theirs.st_ino == ours.st_ino) {
    return net::invalid_argument("netns: " + path + " is the node's own network namespace, which needs no interface");
  }
  return netns;
}

Netns::~Netns() {
  if (fd_ >= 0) close(fd_);
}

net::Result<void> Netns::enter() const {
  if (setns(fd_, CLONE_NEWNET) == 0) return {};
  return net::permission_denied(std::string("netns: cannot be entered: ") + std::strerror(errno));
}

}  // namespace millrace::control::agent
