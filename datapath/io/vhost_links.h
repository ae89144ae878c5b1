/// VhostLinks: the open ports of the process by their sockets' paths, which is all that DPDK's calls have to tell them
/// by.
///
/// Thread:  any.
#pragma once

#include <rte_vhost.h>
#include <sys/un.h>

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace millrace::datapath::io {

class VhostLinks {
 public:
  static VhostLinks& all() {
    static VhostLinks links;
    return links;
  }
  template <typename Link>
  bool add(const std::string& path, std::shared_ptr<Link> link) {
    const std::lock_guard lock(mutex_);
    return links_.emplace(path, std::move(link)).second;
  }
  void remove(const std::string& path) {
    const std::lock_guard lock(mutex_);
    links_.erase(path);
  }
  /// nullptr: the port is closed.
  std::shared_ptr<void> of(int guest) {
    std::array<char, sizeof(sockaddr_un::sun_path) + 1> path{};
    if (rte_vhost_get_ifname(guest, path.data(), path.size()) != 0) return nullptr;
    const std::lock_guard lock(mutex_);
    const auto found = links_.find(path.data());
    return found == links_.end() ? nullptr : found->second;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<void>> links_;
};

}  // namespace millrace::datapath::io
