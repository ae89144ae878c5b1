/// KernelUnderlay: an Underlay that follows the kernel's routes and neighbours (control/netlink).
///
/// Theory:  the kernel tells of changes and is asked only about the remotes a change may concern, so that a thousand of
///          them cost nothing while nothing happens. Changes that come together are taken together: after each turn the
///          thread rests for kPace. When the kernel had to drop messages everything is asked again; so it is every
///          kRefresh, for a path MTU that the kernel learned is told to nobody. A next hop that does not answer is
///          asked for again every kRetry.
/// Errors:  of `open`: those of netlink. Later ones are logged, and asked again at the next change or refresh.
/// Thread:  `follow` and `ways` any; the rest main. `changed` is called on its own thread, with nothing held. It is of
///          the network namespace of the thread that opened it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "control/netlink/follower.h"
#include "control/netlink/netlink.h"
#include "control/switch/underlay.h"
#include "net/result.h"

namespace millrace::control::switchd {

class KernelUnderlay final : public Underlay {
 public:
  static constexpr std::chrono::milliseconds kPace{20};
  static constexpr std::chrono::milliseconds kRetry{1000};
  static constexpr std::chrono::milliseconds kRefresh{30'000};

  static net::Result<std::unique_ptr<KernelUnderlay>> open();
  ~KernelUnderlay() override;
  KernelUnderlay(const KernelUnderlay&) = delete;
  KernelUnderlay& operator=(const KernelUnderlay&) = delete;

  /// Follows from now on; `changed` is called after some way has become another.
  void start(std::function<void()> changed);
  /// Returns when `changed` runs no more and will not be called again.
  void stop() noexcept;

  void follow(const std::set<net::IpAddress>& remotes, const std::set<int>& uplinks) override;
  UnderlayWays ways() const override;

 private:
  using Hop = std::pair<int, net::IpAddress>;  // a next hop on a link
  struct Answer {
    net::Mac mac;
    bool is_static = false;
  };

  KernelUnderlay(netlink::Netlink netlink, netlink::Follower follower, int stop)
      : netlink_(std::move(netlink)), follower_(std::move(follower)), stop_(stop) {}
  void run();
  /// False when it is time to stop.
  bool wait(bool for_changes, std::chrono::milliseconds patience) const;
  std::chrono::milliseconds patience() const;
  bool take(const netlink::KernelChanges& changes);

  // Under mutex_:
  UnderlayWay ask(const net::IpAddress& remote);
  const netlink::LinkInfo* link(int index);
  net::Result<void> read_neighbors();
  /// Fills in the MACs, and has the kernel keep the next hops in use, and no others.
  void settle();

  mutable std::mutex mutex_;  // guards what follows but follower_, which is the thread's
  netlink::Netlink netlink_;
  netlink::Follower follower_;
  const int stop_;  // eventfd
  UnderlayWays ways_;
  std::set<int> uplinks_;
  std::map<int, netlink::LinkInfo> links_;  // that were asked for
  std::map<Hop, Answer> answers_;           // all that the kernel knows
  std::set<Hop> kept_;                      // that the kernel was asked to keep
  std::function<void()> changed_;
  std::thread thread_;
};

}  // namespace millrace::control::switchd
