/// Directory: one that is open, and what is done to what lies in it: by name, never by way of a link.
///
/// Why:     the agent is root, and a pod may write what is below its own directory. A path that is looked up again is
///          led elsewhere by a symbolic link that was put there meanwhile; a name in an open directory is not.
/// Shape:   a name is one part of a path, no "." and no "..".
/// Errors:  kNotFound; kAlreadyExists where something else is than a directory; kPermissionDenied and
///          kFailedPrecondition with the path and the kernel's reason; kResourceExhausted from remove() when there is
///          more than kRemovedEntries.
/// Thread:  any; one object one thread.
/// Source:  openat(2), O_NOFOLLOW; CVE-2021-30465 and its kin.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "net/result.h"

namespace millrace::control::agent {

/// Most entries that one remove() takes away; the next one goes on where it ended.
inline constexpr std::size_t kRemovedEntries = 65536;

class Directory {
 public:
  /// The last part of `path` is no link; the others are the caller's to vouch for.
  static net::Result<Directory> open(const std::string& path);
  /// Made if it is missing; it has `mode` then, whatever the umask is, and whoever made it.
  static net::Result<Directory> make(const std::string& path, mode_t mode);
  Directory(Directory&& other) noexcept : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
  Directory& operator=(Directory&&) = delete;
  ~Directory();

  net::Result<Directory> open_child(const std::string& name) const;
  net::Result<Directory> make_child(const std::string& name, mode_t mode) const;
  /// Whatever it is, with all that lies in it, however deep. What is not there is gone already.
  net::Result<void> remove(const std::string& name) const;
  /// Without "." and "..".
  net::Result<std::vector<std::string>> names() const;

 private:
  Directory(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  static net::Result<Directory> open_at(int parent, const std::string& name, std::string path);
  static net::Result<Directory> make_at(int parent, const std::string& name, std::string path, mode_t mode);
  net::Result<void> flatten(const std::string& name, std::size_t& left) const;
  net::Result<void> empty(std::size_t& left) const;

  int fd_;
  std::string path_;  // for messages
};

}  // namespace millrace::control::agent
