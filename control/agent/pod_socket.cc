#include "control/agent/pod_socket.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

#include "control/agent/directory.h"

namespace millrace::control::agent {
namespace {

constexpr std::size_t kMaxDirectoryName = 64;  // a UUID has 36 characters
constexpr mode_t kRootOnly = 0700;
constexpr mode_t kRootWrites = 0755;
constexpr mode_t kPodWrites = 0777;

/// Kubernetes makes UUIDs. What another runtime says may be no name of a directory.
bool names_a_directory(const std::string& uid) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !uid.empty() && uid.size() <= kMaxDirectoryName && std::ranges::all_of(uid, is_plain);
}

/// DIRECTORY, POD and IFNAME of a socket's path.
struct Place {
  std::string directory, pod, ifname;

  explicit Place(const std::string& socket_path) {
    const auto ifname_end = socket_path.rfind('/');
    const auto pod_end = socket_path.rfind('/', ifname_end - 1);
    const auto directory_end = socket_path.rfind('/', pod_end - 1);
    directory = socket_path.substr(0, directory_end);
    pod = socket_path.substr(directory_end + 1, pod_end - directory_end - 1);
    ifname = socket_path.substr(pod_end + 1, ifname_end - pod_end - 1);
  }
};

net::Result<void> unless_missing(const net::Error& error) {
  if (error.code == net::ErrorCode::kNotFound) return {};
  return error;
}

}  // namespace

net::Result<std::string> pod_socket_path(const std::string& directory, const Attachment& attachment) {
  const std::string& pod = names_a_directory(attachment.pod_uid) ? attachment.pod_uid : attachment.host_interface;
  std::string path = fmt::format("{}/{}/{}/vhost.sock", directory, pod, attachment.key.ifname);
  if (path.size() <= kMaxSocketPath) return path;
  return net::invalid_argument(fmt::format("runtimeDir: the vhost-user socket {} has {} bytes; allowed: at most {}",
                                           path, path.size(), kMaxSocketPath));
}

net::Result<void> make_socket_directory(const VhostSocket& socket) {
  const Place place(socket.path);
  auto directory = Directory::make(place.directory, kRootOnly);
  if (!directory) return directory.error();
  auto pod = directory->make_child(place.pod, kRootWrites);
  if (!pod) return pod.error();
  auto own = pod->make_child(place.ifname, socket.wish.pod_listens ? kPodWrites : kRootWrites);
  if (!own) return own.error();
  return {};
}

net::Result<void> remove_pod_socket(const std::string& socket_path, const std::vector<Attachment>& attachments) {
  const Place place(socket_path);
  const auto is_neighbour = [&](const Attachment& other) {
    return other.vhost && other.vhost->path != socket_path && Place(other.vhost->path).pod == place.pod;
  };
  auto directory = Directory::open(place.directory);
  if (!directory) return unless_missing(directory.error());
  if (std::ranges::none_of(attachments, is_neighbour)) return directory->remove(place.pod);
  auto pod = directory->open_child(place.pod);
  if (!pod) return unless_missing(pod.error());
  return pod->remove(place.ifname);
}

bool socket_directory_is_there(const std::string& socket_path) {
  const Place place(socket_path);
  auto directory = Directory::open(place.directory);
  if (!directory) return false;
  auto pod = directory->open_child(place.pod);
  return pod && pod->open_child(place.ifname).ok();
}

net::Result<void> remove_unknown_sockets(const std::string& directory_path, const std::vector<Attachment>& kept) {
  std::set<std::string> known;
  for (const Attachment& attachment : kept) {
    if (attachment.vhost) known.insert(Place(attachment.vhost->path).pod);
  }
  auto directory = Directory::open(directory_path);
  if (!directory) return unless_missing(directory.error());
  auto found = directory->names();
  if (!found) return found.error();
  for (const std::string& pod : *found) {
    if (known.contains(pod)) continue;
    spdlog::info("{}/{} is removed: no pod has it", directory_path, pod);
    if (auto removed = directory->remove(pod); !removed) return removed;
  }
  return {};
}

}  // namespace millrace::control::agent
