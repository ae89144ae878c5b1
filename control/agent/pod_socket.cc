#include "control/agent/pod_socket.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace millrace::control::agent {
namespace {

constexpr std::size_t kMaxDirectoryName = 64;  // a UUID has 36 characters
/// The switch's socket is root's alone to write; other users of the pod may look for it.
constexpr mode_t kDirectoryMode = 0755;

/// Kubernetes makes UUIDs. What another runtime says may be no name of a directory.
bool names_a_directory(const std::string& uid) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !uid.empty() && uid.size() <= kMaxDirectoryName && std::ranges::all_of(uid, is_plain);
}

std::string directory_of(const std::string& socket_path) { return socket_path.substr(0, socket_path.rfind('/')); }

net::Error failure(const std::string& path, int error) {
  std::string message = fmt::format("{}: {}", path, std::strerror(error));
  if (error == EPERM || error == EACCES) return net::permission_denied(std::move(message));
  return net::failed_precondition(std::move(message));
}

}  // namespace

net::Result<std::string> pod_socket_path(const std::string& directory, const Attachment& attachment) {
  const std::string& pod = names_a_directory(attachment.pod_uid) ? attachment.pod_uid : attachment.host_interface;
  std::string path = fmt::format("{}/{}/{}/vhost.sock", directory, pod, attachment.key.ifname);
  if (path.size() <= kMaxSocketPath) return path;
  return net::invalid_argument(fmt::format("runtimeDir: the vhost-user socket {} has {} bytes; allowed: at most {}",
                                           path, path.size(), kMaxSocketPath));
}

net::Result<void> make_socket_directory(const std::string& socket_path) {
  const std::string own = directory_of(socket_path);
  const std::string pod = directory_of(own);
  for (const std::string& path : {directory_of(pod), pod, own}) {
    if (::mkdir(path.c_str(), kDirectoryMode) == 0) {
      if (::chmod(path.c_str(), kDirectoryMode) != 0) return failure(path, errno);  // whatever the umask is
    } else if (errno != EEXIST) {
      return failure(path, errno);
    }
  }
  return {};
}

net::Result<void> remove_pod_socket(const std::string& socket_path) {
  if (::unlink(socket_path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) return failure(socket_path, errno);
  const std::string own = directory_of(socket_path);
  for (const std::string& path : {own, directory_of(own)}) {
    if (::rmdir(path.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR) continue;
    if (errno != ENOTEMPTY && errno != EEXIST && errno != EBUSY) return failure(path, errno);  // busy: mounted over
    break;
  }
  return {};
}

bool socket_directory_is_there(const std::string& socket_path) {
  std::error_code ignored;
  return std::filesystem::is_directory(directory_of(socket_path), ignored);
}

}  // namespace millrace::control::agent
