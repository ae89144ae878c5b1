#include "control/agent/cluster_routes.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace millrace::control::agent {
namespace {

void warn(const net::Result<void>& result) {
  if (!result) spdlog::warn("the node's way to pods: {}", result.error().message);
}

net::Result<void> close_only(const std::vector<net::Prefix>& pools, std::uint32_t priority) {
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  auto closed = netlink->closed_prefixes(priority);
  if (!closed) return closed.error();
  for (const net::Prefix& prefix : *closed) {
    if (std::ranges::find(pools, prefix) != pools.end()) continue;
    if (auto opened = netlink->open_prefix(prefix, priority); !opened) return opened;
  }
  for (const net::Prefix& pool : pools) {
    if (auto set = netlink->close_prefix(pool, priority); !set) return set;
  }
  return {};
}

}  // namespace

ClusterRoutes::ClusterRoutes(HostPort host, const std::vector<net::Prefix>& pools, Blocks own, Blocks others)
    : host_(std::move(host)), own_(std::move(own)), others_(std::move(others)), routed_(own_) {
  routed_.insert(others_.begin(), others_.end());
  warn(close_only(pools, route_number(host_.name)));
}

void ClusterRoutes::set_own(const net::Prefix& block, bool is_there) {
  const std::lock_guard guard(mutex_);
  if (is_there) {
    own_.insert(block);
  } else {
    own_.erase(block);
  }
  settle();
}

void ClusterRoutes::set_others(Blocks blocks) {
  const std::lock_guard guard(mutex_);
  others_ = std::move(blocks);
  settle();
}

void ClusterRoutes::settle() {
  Blocks wanted = own_;
  wanted.insert(others_.begin(), others_.end());
  // What the kernel refused is not among `routed_`: the next change tries it again.
  std::erase_if(routed_, [&](const net::Prefix& block) {
    if (wanted.contains(block)) return false;
    warn(remove_pod_route(host_, block));
    return true;
  });
  for (const net::Prefix& block : wanted) {
    if (routed_.contains(block)) continue;
    auto added = add_pod_route(host_, block);
    warn(added);
    if (added) routed_.insert(block);
  }
}

net::Result<void> remove_cluster_routes(const std::string& host_port) {
  return close_only({}, route_number(host_port));
}

}  // namespace millrace::control::agent
