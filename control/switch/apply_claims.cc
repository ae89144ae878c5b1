#include "control/switch/apply_claims.h"

#include <algorithm>
#include <utility>

namespace millrace::control::switchd {
namespace {

bool meet(const std::set<std::string>& a, const std::set<std::string>& b) {
  if (a.size() > b.size()) return meet(b, a);
  return std::any_of(a.begin(), a.end(), [&b](const std::string& key) { return b.contains(key); });
}

bool exclude_each_other(const ClaimKeys& a, const ClaimKeys& b) {
  return a.everything || b.everything || meet(a.ports, b.ports) || meet(a.interfaces, b.interfaces) ||
         meet(a.services, b.services) || meet(a.tunnels, b.tunnels);
}

}  // namespace

ApplyClaims::Claim ApplyClaims::take(ClaimKeys keys) {
  std::unique_lock lock(mutex_);
  const auto mine = claims_.insert(claims_.end(), std::move(keys));
  ended_.wait(lock, [&] {
    return std::none_of(claims_.begin(), mine,
                        [&](const ClaimKeys& earlier) { return exclude_each_other(earlier, *mine); });
  });
  return {*this, mine};
}

void ApplyClaims::Claim::wait_for_policy_turn() const {
  std::unique_lock lock(owner_.mutex_);
  if (!at_->policy) return;
  owner_.ended_.wait(lock, [this] {
    return std::none_of(owner_.claims_.begin(), at_, [](const ClaimKeys& earlier) { return earlier.policy; });
  });
}

void ApplyClaims::Claim::end_policy_turn() const {
  {
    const std::lock_guard lock(owner_.mutex_);
    at_->policy = false;
  }
  owner_.ended_.notify_all();
}

std::size_t ApplyClaims::count() const {
  const std::lock_guard lock(mutex_);
  return claims_.size();
}

ApplyClaims::Claim::~Claim() {
  {
    const std::lock_guard lock(owner_.mutex_);
    owner_.claims_.erase(at_);
  }
  owner_.ended_.notify_all();
}

}  // namespace millrace::control::switchd
