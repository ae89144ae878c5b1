/// A lease that a thread of its own keeps alive: keys put with its id go when this process has been gone for the TTL.
///
/// Shape:   granted as soon as etcd answers; renewed every third of the TTL. Its id is 0 until the first grant.
/// Loss:    etcd says that it is gone (expired, revoked, another cluster): a new one is granted and `on_granted` is
///          called again, since the leased keys went with the old one. No answer for the TTL: is_alive() becomes false;
///          when etcd is back and still has the lease (a new leader gives every lease its full TTL again) then the keys
///          are there too and it goes on, else there is a new one.
/// Thread:  on_granted is called on the lease's thread, which renews nothing meanwhile: it returns within a third of
///          the TTL, and does not destroy the lease. All else: any thread.
/// Source:  etcd v3.4, lease/lessor.go: Promote extends what is left by an election timeout, a TTL has a least value.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "control/etcd/client.h"

namespace millrace::control::etcd {

class Lease {
 public:
  using Granted = std::function<void(std::int64_t id)>;

  /// `client` outlives the lease. `ttl` is at least 1 s; etcd may grant a longer one.
  Lease(Client& client, std::chrono::seconds ttl, Granted on_granted);
  /// Revokes it, so that its keys go now: waits at most kRevokeTimeout for that. Not after let_expire().
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  static constexpr std::chrono::milliseconds kRevokeTimeout{1000};

  /// The one granted last; 0 before the first.
  std::int64_t id() const;
  /// Granted, and renewed less than its TTL ago.
  bool is_alive() const;
  /// Its keys stay for the rest of the TTL when this object ends: who comes back until then puts them again.
  void let_expire();

 private:
  class Keeper;
  std::unique_ptr<Keeper> keeper_;
};

}  // namespace millrace::control::etcd
