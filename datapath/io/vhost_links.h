/// VhostLinks: the open ports of the process by their sockets' paths, which is all that DPDK's calls have to tell them
/// by.
///
/// Shape:   DPDK watches the sockets of all ports and the connections to them in one set of kWatchedLimit descriptors,
///          its own among them: a port where the switch listens has two there when its guest is connected, one where
///          the guest listens has one. What would not fit with every guest there is refused, so that a guest never
///          finds a socket that it cannot be served at.
/// Errors:  kAlreadyExists for a path of another port; kResourceExhausted with the limit.
/// Thread:  any.
/// Source:  DPDK 22.11, lib/vhost/fd_man.h MAX_FDS, socket.c MAX_VHOST_SOCKET.
#pragma once

#include <fmt/core.h>
#include <rte_vhost.h>
#include <sys/un.h>

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "net/result.h"

namespace millrace::datapath::io {

inline constexpr unsigned kWatchedLimit = 1024;
inline constexpr unsigned kWatchedByPorts = kWatchedLimit - 1;  // one is the pipe that wakes its thread

class VhostLinks {
 public:
  static VhostLinks& all() {
    static VhostLinks links;
    return links;
  }
  template <typename Link>
  net::Result<void> add(const std::string& path, std::shared_ptr<Link> link, bool is_client) {
    const unsigned watched = is_client ? 1 : 2;
    const std::lock_guard lock(mutex_);
    if (links_.contains(path)) {
      return net::already_exists(fmt::format("vhost-user socket {}: another port has it", path));
    }
    if (watched_ + watched > kWatchedByPorts) {
      return net::resource_exhausted(
          fmt::format("vhost-user socket {}: {} descriptors are in use of {} that DPDK watches; a port where the "
                      "switch listens takes 2, one where the guest does 1",
                      path, watched_, kWatchedByPorts));
    }
    watched_ += watched;
    links_.emplace(path, Entry{std::move(link), watched});
    return {};
  }
  void remove(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto found = links_.find(path);
    if (found == links_.end()) return;
    watched_ -= found->second.watched;
    links_.erase(found);
  }
  /// nullptr: the port is closed.
  std::shared_ptr<void> of(int guest) {
    std::array<char, sizeof(sockaddr_un::sun_path) + 1> path{};
    return rte_vhost_get_ifname(guest, path.data(), path.size()) == 0 ? at(path.data()) : nullptr;
  }
  std::shared_ptr<void> at(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto found = links_.find(path);
    return found == links_.end() ? nullptr : found->second.link;
  }

 private:
  struct Entry {
    std::shared_ptr<void> link;
    unsigned watched;
  };
  std::mutex mutex_;
  std::map<std::string, Entry> links_;
  unsigned watched_ = 0;
};

}  // namespace millrace::datapath::io
