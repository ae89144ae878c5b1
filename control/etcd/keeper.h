/// The thread behind a Lease: grants, renews over a stream, and grants again.
///
/// Thread:  run() on its own; id() and is_alive() any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>

#include "control/etcd/backoff.h"
#include "control/etcd/interrupt.h"
#include "control/etcd/lease.h"
#include "control/etcd/session.h"
#include "control/etcd/stream.h"

namespace millrace::control::etcd {

class Lease::Keeper {
 public:
  Keeper(Session& session, std::chrono::seconds ttl, Granted on_granted);
  ~Keeper();

  std::int64_t id() const;
  bool is_alive() const;
  void let_expire() { is_left_ = true; }

 private:
  using Clock = std::chrono::steady_clock;
  using KeepAlive = Stream<etcdserverpb::LeaseKeepAliveRequest, etcdserverpb::LeaseKeepAliveResponse>;
  enum class End { kLost, kStream };

  void run();
  bool grant();
  /// Returns when etcd says that the lease is gone (kLost) or when this stream is of no use any more.
  End renew();
  /// What etcd says of the time to live; nothing: the stream is over, or silent.
  std::optional<std::int64_t> renew_once(KeepAlive& stream);
  void set_alive(Clock::time_point asked, std::int64_t ttl_s);
  std::chrono::milliseconds third() const;
  void revoke();

  Session& session_;
  const std::chrono::seconds wanted_ttl_;
  const Granted on_granted_;
  Interrupt interrupt_;
  mutable std::mutex mutex_;
  std::int64_t id_ = 0;              // under mutex_
  std::chrono::seconds ttl_;         // under mutex_: what etcd granted
  Clock::time_point alive_until_{};  // under mutex_
  std::atomic<bool> is_left_ = false;
  bool has_lease_ = false;  // the thread's own, as backoff_
  Backoff backoff_;
  std::thread thread_;  // last: it uses all above
};

}  // namespace millrace::control::etcd
