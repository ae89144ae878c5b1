#include "control/cli/pod_netns.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include "control/cli/unique_fd.h"

namespace millrace::control::cli {

namespace {

constexpr const char* kDirectory = "/run/netns";
constexpr std::size_t kNameLimitBytes = 200;  // of a file's 255, with room for what others put around it

std::uint32_t fnv1a(std::string_view text) {
  std::uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619u;
  return hash;
}

net::Error failure(const std::string& what, int error) {
  std::string message = fmt::format("{}: {}", what, std::strerror(error));
  if (error == EEXIST) return net::already_exists(std::move(message));
  if (error == EPERM || error == EACCES) return net::permission_denied(message + "; run this as root");
  return net::failed_precondition(std::move(message));
}

/// Makes the directory a shared mount, as `ip netns add` does: a namespace that is made or removed here is made or
/// removed for every mount namespace, else it could not go as long as one of them holds it.
net::Result<void> share_directory() {
  if (::mkdir(kDirectory, 0755) != 0 && errno != EEXIST) return failure(kDirectory, errno);
  bool bound = false;
  while (::mount("", kDirectory, "none", MS_SHARED | MS_REC, nullptr) != 0) {
    if (errno != EINVAL || bound) return failure(fmt::format("{}: cannot be shared", kDirectory), errno);
    if (::mount(kDirectory, kDirectory, "none", MS_BIND | MS_REC, nullptr) != 0) {
      return failure(fmt::format("{}: cannot be mounted", kDirectory), errno);
    }
    bound = true;
  }
  return {};
}

net::Result<void> loopback_up() {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  if (!fd || ::ioctl(fd.get(), SIOCGIFFLAGS, &request) != 0) return failure("lo", errno);
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) return failure("lo: cannot be set up", errno);
  return {};
}

/// In a thread of its own, which ends after it: a thread cannot leave a namespace without holding the old one.
net::Result<void> make_here(const std::string& path) {
  if (::unshare(CLONE_NEWNET) != 0) return failure("cannot make a network namespace", errno);
  if (auto up = loopback_up(); !up) return up;
  if (::mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr) != 0) return failure(path, errno);
  return {};
}

}  // namespace

std::string netns_name(const std::string& runtime_dir, const std::string& name_space, const std::string& pod) {
  std::string name = "mr-";
  if (runtime_dir != "/run/millrace") name += fmt::format("{:08x}-", fnv1a(runtime_dir));
  name += name_space + "." + pod;
  if (name.size() <= kNameLimitBytes) return name;
  const std::string mark = fmt::format("-{:08x}", fnv1a(name));
  return name.substr(0, kNameLimitBytes - mark.size()) + mark;
}

std::string netns_path(const std::string& name) { return fmt::format("{}/{}", kDirectory, name); }

net::Result<void> create_netns(const std::string& name) {
  if (auto shared = share_directory(); !shared) return shared;
  const std::string path = netns_path(name);
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
  if (!file) return failure(fmt::format("the network namespace {}", path), errno);
  net::Result<void> made;
  std::thread([&] { made = make_here(path); }).join();
  if (!made) ::unlink(path.c_str());
  return made;
}

net::Result<void> delete_netns(const std::string& name) {
  const std::string path = netns_path(name);
  if (::umount2(path.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT) return failure(path, errno);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failure(path, errno);
  return {};
}

net::Result<void> enter_netns(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return failure(path, errno);
  if (::setns(file.get(), CLONE_NEWNET) != 0) return failure(path, errno);
  return {};
}

}  // namespace millrace::control::cli
