/// Follower: what changes in the kernel's links, addresses, routes, rules and neighbours, told by the kernel.
///
/// Theory:  the kernel does not tell of every route that goes: those of a link that went down and those with a source
///          address that was removed go in silence. So such a message means that every way may be another one.
///          A socket's buffer is bounded: when it overflows the kernel drops messages and says so (ENOBUFS), and
///          everything is to be asked again.
/// Shape:   opened before the tables are asked, no change is missed. What is told may be older than what was asked
///          after opening; what follows it brings it up to date.
/// Errors:  as netlink.h.
/// Thread:  one at a time. The network namespace is that of the thread that opened it.
/// Source:  rtnetlink(7), netlink(7) ENOBUFS; kernel net/ipv4/fib_semantics.c (fib_sync_down_dev, _addr).
#pragma once

#include <linux/neighbour.h>

#include <set>
#include <utility>
#include <vector>

#include "control/netlink/ways.h"
#include "net/address.h"
#include "net/result.h"

struct nlmsghdr;

namespace millrace::control::netlink {

/// States in which a neighbour's MAC may be used.
inline constexpr int kKnownStates = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;
/// Those that the kernel never asks about.
inline constexpr int kStaticStates = NUD_PERMANENT | NUD_NOARP;

struct KernelChanges {
  bool lost = false;                // messages were dropped: all is to be asked again
  bool all_ways = false;            // any way may have changed
  std::vector<net::Prefix> routes;  // ways to addresses inside of these may have
  std::set<int> links;              // so may ways by these links: their MTU, for example
  std::vector<Neighbor> neighbors;  // in the order of the messages

  bool empty() const { return !lost && !all_ways && routes.empty() && links.empty() && neighbors.empty(); }
};

class Follower {
 public:
  static net::Result<Follower> open();
  ~Follower();
  Follower(Follower&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;
  Follower& operator=(Follower&&) = delete;

  /// Readable when there is something to read.
  int descriptor() const noexcept { return socket_; }
  /// All that was told since the last call. Does not wait.
  net::Result<KernelChanges> read();

 private:
  explicit Follower(int socket) : socket_(socket) {}
  int socket_;
};

/// What one message says; for tests.
void add_message(const nlmsghdr& message, KernelChanges& changes);

}  // namespace millrace::control::netlink
