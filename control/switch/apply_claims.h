/// ApplyClaims: which names and interfaces the requests that run now are about.
///
/// Theory:  requests that have nothing in common run at the same time, because opening a device takes milliseconds.
///          Those that name the same port, interface, service or tunnel run one after the other, in the order in which
///          they came; one that claims everything runs alone. Those about policy open their devices at the same time
///          and then take turns, again in the order in which they came: each is made of what the one before left. A
///          request waits only for earlier ones, so none waits forever and no two wait for each other.
/// Thread:  any.
#pragma once

#include <condition_variable>
#include <list>
#include <mutex>
#include <set>
#include <string>

namespace millrace::control::switchd {

struct ClaimKeys {
  bool everything = false;
  std::set<std::string> ports;
  std::set<std::string> interfaces;
  std::set<std::string> services;
  std::set<std::string> tunnels;
  bool policy = false;  // waits for its turn
};

class ApplyClaims {
 public:
  /// Ends with its destructor. `ApplyClaims` must outlive it.
  class Claim {
   public:
    ~Claim();
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    /// Returns when no earlier claim is about policy.
    void wait_for_policy_turn() const;
    /// Lets the next one have its turn before this claim ends.
    void end_policy_turn() const;

   private:
    friend class ApplyClaims;
    Claim(ApplyClaims& owner, std::list<ClaimKeys>::iterator at) : owner_(owner), at_(at) {}
    ApplyClaims& owner_;
    const std::list<ClaimKeys>::iterator at_;
  };

  /// Returns when no earlier claim has a name in common with `keys`.
  Claim take(ClaimKeys keys);
  /// Claims that are held or waited for.
  std::size_t count() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::list<ClaimKeys> claims_;  // in the order of arrival
};

}  // namespace millrace::control::switchd
