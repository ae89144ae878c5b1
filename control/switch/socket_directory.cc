#include "control/switch/socket_directory.h"

#include <fmt/core.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>

namespace millrace::control::switchd {
namespace {

constexpr mode_t kRootOnly = 0700;
constexpr unsigned long kNoLinksFlag = 0x2000;  // statfs(2): ST_NOSYMFOLLOW

net::Error failure(const std::string& what) {
  return net::failed_precondition(fmt::format("{}: {}", what, std::strerror(errno)));
}

}  // namespace

net::Result<void> SocketDirectory::shield() const {
  if (::mkdir(path_.c_str(), kRootOnly) != 0 && errno != EEXIST) return failure(path_);
  if (::unshare(CLONE_NEWNS) != 0) return failure("a mount namespace");
  if (::mount("", "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) return failure("mounts of the node");
  if (::mount(path_.c_str(), path_.c_str(), nullptr, MS_BIND, nullptr) != 0) return failure("mount " + path_);
  constexpr unsigned long kFlags = MS_REMOUNT | MS_BIND | MS_NOSYMFOLLOW | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::mount(nullptr, path_.c_str(), nullptr, kFlags, nullptr) != 0) return failure("mount " + path_);
  return check();
}

bool SocketDirectory::covers(const std::string& socket_path) const { return socket_path.starts_with(path_ + "/"); }

net::Result<void> SocketDirectory::check() const {
  struct statvfs found {};
  if (::statvfs(path_.c_str(), &found) != 0) return failure(path_);
  if ((found.f_flag & kNoLinksFlag) != 0) return {};
  return net::failed_precondition(
      fmt::format("{}: links in it would be followed, which could be a pod's; millraced shields it when it starts, "
                  "with CAP_SYS_ADMIN and Linux 5.10 or later",
                  path_));
}

}  // namespace millrace::control::switchd
