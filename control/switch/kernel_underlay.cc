#include "control/switch/kernel_underlay.h"

#include <fmt/core.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "control/netlink/ways.h"

namespace millrace::control::switchd {

using netlink::KernelChanges;
using std::chrono::milliseconds;

net::Result<std::unique_ptr<KernelUnderlay>> KernelUnderlay::open() {
  auto follower = netlink::Follower::open();  // before anything is asked: no change is missed
  if (!follower) return follower.error();
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  const int stop = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop < 0) return net::internal_error(fmt::format("eventfd: {}", std::strerror(errno)));
  std::unique_ptr<KernelUnderlay> underlay(
      new KernelUnderlay(std::move(netlink).value(), std::move(follower).value(), stop));
  if (auto read = underlay->read_neighbors(); !read) return read.error();
  return underlay;
}

KernelUnderlay::~KernelUnderlay() {
  stop();
  ::close(stop_);
}

void KernelUnderlay::start(std::function<void()> changed) {
  changed_ = std::move(changed);
  thread_ = std::thread([this] { run(); });
}

void KernelUnderlay::stop() noexcept {
  if (!thread_.joinable()) return;
  ::eventfd_write(stop_, 1);
  thread_.join();
}

UnderlayWays KernelUnderlay::ways() const {
  const std::lock_guard lock(mutex_);
  return ways_;
}

void KernelUnderlay::follow(const std::set<net::IpAddress>& remotes, const std::set<int>& uplinks) {
  const std::lock_guard lock(mutex_);
  uplinks_ = uplinks;
  std::erase_if(ways_, [&](const auto& entry) { return !remotes.contains(entry.first); });
  for (const net::IpAddress& remote : remotes) {
    if (!ways_.contains(remote)) ways_.emplace(remote, ask(remote));
  }
  settle();
}

bool KernelUnderlay::wait(bool for_changes, milliseconds patience) const {
  std::array<pollfd, 2> waits{pollfd{stop_, POLLIN, 0}, pollfd{follower_.descriptor(), POLLIN, 0}};
  ::poll(waits.data(), for_changes ? 2 : 1, static_cast<int>(patience.count()));
  return (waits[0].revents & POLLIN) == 0;
}

milliseconds KernelUnderlay::patience() const {
  const std::lock_guard lock(mutex_);
  const bool all_answer =
      std::all_of(kept_.begin(), kept_.end(), [&](const Hop& hop) { return answers_.contains(hop); });
  return all_answer ? kRefresh : kRetry;
}

void KernelUnderlay::run() {
  auto refreshed = std::chrono::steady_clock::now();
  while (wait(true, patience())) {
    auto changes = follower_.read();
    if (!changes) {
      spdlog::error("{}", changes.error().message);
      changes = KernelChanges{};
      changes->lost = true;
    }
    const auto now = std::chrono::steady_clock::now();
    if (now - refreshed >= kRefresh) changes->lost = true;
    if (changes->lost) refreshed = now;
    if (take(*changes)) changed_();
    if (!wait(false, kPace)) return;
  }
}

bool KernelUnderlay::take(const KernelChanges& changes) {
  const std::lock_guard lock(mutex_);
  const UnderlayWays before = ways_;
  for (const netlink::Neighbor& neighbor : changes.neighbors) {
    const Hop hop{neighbor.link, neighbor.address};
    if (neighbor.mac) {
      answers_[hop] = {*neighbor.mac, neighbor.is_static};
    } else {
      answers_.erase(hop);
    }
  }
  for (const int index : changes.links) links_.erase(index);
  if (changes.lost) {
    links_.clear();
    if (auto read = read_neighbors(); !read) spdlog::error("{}", read.error().message);
  }
  for (auto& [remote, way] : ways_) {
    const bool is_inside = std::any_of(changes.routes.begin(), changes.routes.end(),
                                       [&to = remote](const auto& route) { return route.contains(to); });
    if (changes.lost || changes.all_ways || is_inside || changes.links.contains(way.link)) way = ask(remote);
  }
  // A link that goes takes its neighbours along, kept or not; and a kernel that keeps none is asked again and again.
  if (changes.lost || changes.all_ways) kept_.clear();
  std::erase_if(kept_, [&](const Hop& hop) { return !answers_.contains(hop); });
  settle();
  return ways_ != before;
}

UnderlayWay KernelUnderlay::ask(const net::IpAddress& remote) {
  UnderlayWay way;
  const auto found = netlink::way_to(netlink_, remote);
  if (!found) {
    if (found.error().code != net::ErrorCode::kNotFound) spdlog::error("{}", found.error().message);
    return way;
  }
  const netlink::LinkInfo* leaves_by = link(found->link);
  if (leaves_by == nullptr) return way;  // it went just now: a message about it is on its way
  way.link = found->link;
  way.interface = leaves_by->name;
  way.is_routed = found->gateway.has_value();
  way.next_hop = found->gateway.value_or(remote);
  way.mtu_bytes = found->mtu_bytes == 0 ? leaves_by->mtu : std::min(found->mtu_bytes, leaves_by->mtu);
  return way;
}

const netlink::LinkInfo* KernelUnderlay::link(int index) {
  const auto known = links_.find(index);
  if (known != links_.end()) return &known->second;
  auto found = netlink_.link(index);
  if (!found) return nullptr;
  return &links_.emplace(index, std::move(found).value()).first->second;
}

net::Result<void> KernelUnderlay::read_neighbors() {
  auto found = netlink::neighbors(netlink_);
  if (!found) return found.error();
  answers_.clear();
  for (const netlink::Neighbor& neighbor : *found) {
    answers_.emplace(Hop{neighbor.link, neighbor.address}, Answer{*neighbor.mac, neighbor.is_static});
  }
  return {};
}

void KernelUnderlay::settle() {
  std::set<Hop> wanted;
  for (auto& [remote, way] : ways_) {
    const Hop hop{way.link, way.next_hop};
    const auto answer = answers_.find(hop);
    const bool is_known = answer != answers_.end();
    way.mac = is_known ? std::optional(answer->second.mac) : std::nullopt;
    if (is_known && answer->second.is_static) {
      kept_.erase(hop);  // an administrator's word: neither kept nor left
    } else if (uplinks_.contains(way.link)) {
      wanted.insert(hop);
    }
  }
  for (const Hop& hop : kept_) {
    if (wanted.contains(hop)) continue;
    if (auto left = netlink::leave_neighbor(netlink_, hop.first, hop.second); !left) {
      spdlog::debug("{}", left.error().message);  // its link is gone, and the neighbour with it
    }
  }
  for (const Hop& hop : wanted) {
    if (kept_.contains(hop)) continue;
    if (auto kept = netlink::keep_neighbor(netlink_, hop.first, hop.second); !kept) {
      spdlog::warn("{}", kept.error().message);
    }
  }
  kept_ = std::move(wanted);
}

}  // namespace millrace::control::switchd
