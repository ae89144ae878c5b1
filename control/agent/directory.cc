#include "control/agent/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace millrace::control::agent {
namespace {

constexpr int kOpenFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

net::Error failure(const std::string& path, int error) {
  if (error == ENOTDIR || error == ELOOP) return net::already_exists(fmt::format("{}: is no directory", path));
  std::string message = fmt::format("{}: {}", path, std::strerror(error));
  if (error == ENOENT) return net::not_found(std::move(message));
  if (error == EPERM || error == EACCES) return net::permission_denied(std::move(message));
  return net::failed_precondition(std::move(message));
}

bool is_directory(int parent, const std::string& name) {
  struct stat found {};
  return ::fstatat(parent, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(found.st_mode);
}

/// Takes `name`, a directory somewhere below, into `top` under a name of its own: so what is deep becomes flat, and
/// nobody's nesting costs a stack or descriptors.
bool lift(int from, const std::string& name, int top, std::size_t number) {
  const std::string lifted = fmt::format(".removed-{}", number);
  return ::renameat(from, name.c_str(), top, lifted.c_str()) == 0;
}

}  // namespace

Directory::~Directory() {
  if (fd_ >= 0) ::close(fd_);
}

net::Result<Directory> Directory::open_at(int parent, const std::string& name, std::string path) {
  const int fd = ::openat(parent, name.c_str(), kOpenFlags);
  if (fd < 0) return failure(path, errno);
  return Directory(fd, std::move(path));
}

net::Result<Directory> Directory::make_at(int parent, const std::string& name, std::string path, mode_t mode) {
  if (::mkdirat(parent, name.c_str(), mode) != 0 && errno != EEXIST) return failure(path, errno);
  auto made = open_at(parent, name, std::move(path));
  if (made && ::fchmod(made->fd_, mode) != 0) return failure(made->path_, errno);
  return made;
}

net::Result<Directory> Directory::open(const std::string& path) { return open_at(AT_FDCWD, path, path); }

net::Result<Directory> Directory::make(const std::string& path, mode_t mode) {
  return make_at(AT_FDCWD, path, path, mode);
}

net::Result<Directory> Directory::open_child(const std::string& name) const {
  return open_at(fd_, name, path_ + "/" + name);
}

net::Result<Directory> Directory::make_child(const std::string& name, mode_t mode) const {
  return make_at(fd_, name, path_ + "/" + name, mode);
}

net::Result<std::vector<std::string>> Directory::names() const {
  // A descriptor of its own, as closing the stream closes it; and a position of its own.
  const int fd = ::openat(fd_, ".", kOpenFlags);
  if (fd < 0) return failure(path_, errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd), ::closedir);
  if (!stream) {
    const int error = errno;
    ::close(fd);
    return failure(path_, error);
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (names.size() == kRemovedEntries) break;
    names.push_back(name);
  }
  return names;
}

/// Of `name`, a directory in this one: its files go, and its directories come up here.
net::Result<void> Directory::flatten(const std::string& name, std::size_t& left) const {
  auto below = open_child(name);
  if (!below) return {};  // it was replaced meanwhile, and is met again
  auto found = below->names();
  if (!found) return found.error();
  for (const std::string& inner : *found) {
    if (left == 0) break;
    --left;
    if (is_directory(below->fd_, inner)) {
      lift(below->fd_, inner, fd_, left);
    } else {
      ::unlinkat(below->fd_, inner.c_str(), 0);
    }
  }
  if (::unlinkat(fd_, name.c_str(), AT_REMOVEDIR) == 0) return {};
  const bool is_met_again = errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR;
  return is_met_again ? net::Result<void>() : failure(path_ + "/" + name, errno);
}

net::Result<void> Directory::empty(std::size_t& left) const {
  while (true) {
    auto found = names();
    if (!found) return found.error();
    if (found->empty()) return {};
    for (const std::string& name : *found) {
      if (left == 0) {
        return net::resource_exhausted(fmt::format("{}: more than {} files are there", path_, kRemovedEntries));
      }
      --left;
      if (is_directory(fd_, name)) {
        if (auto flat = flatten(name, left); !flat) return flat;
      } else if (::unlinkat(fd_, name.c_str(), 0) != 0 && errno != ENOENT && errno != EISDIR) {
        return failure(path_ + "/" + name, errno);
      }
    }
  }
}

net::Result<void> Directory::remove(const std::string& name) const {
  if (!is_directory(fd_, name)) {
    if (::unlinkat(fd_, name.c_str(), 0) == 0 || errno == ENOENT) return {};
    return failure(path_ + "/" + name, errno);
  }
  auto inside = open_child(name);
  if (!inside) return inside.error();
  std::size_t left = kRemovedEntries;
  if (auto emptied = inside->empty(left); !emptied) return emptied;
  if (::unlinkat(fd_, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  return failure(path_ + "/" + name, errno);
}

}  // namespace millrace::control::agent
