/// RuleSlots: which of the workers' counters counts which rule.
///
/// Shape:   one counter (datapath::WorkerCounters::rule) for each rule as a user sees it: object, direction, index. A
///          slot is held by whoever may have the rule counted, the states of policy that have it among them; when the
///          last holder lets go, its counters are zero again and the number is free. A state is kept until every worker
///          has passed the last snapshot that was made of it (SwitchState::retired_policy_), so no worker counts there
///          then.
/// Size:    twice policy.ruleLimit: while a change is on its way, the rules before and after it have slots.
/// Thread:  any. Slots must not outlive their RuleSlots.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "datapath/counters.h"

namespace millrace::control::switchd {

enum class Direction : std::uint8_t { kIngress, kEgress };
inline constexpr unsigned kDirections = 2;
inline constexpr const char* kDirectionNames[kDirections] = {"ingress", "egress"};

/// A rule as a user sees it.
struct RuleKey {
  std::string object;
  Direction direction = Direction::kIngress;
  std::uint32_t index = 0;
  friend auto operator<=>(const RuleKey&, const RuleKey&) = default;
};

/// Slots that workers need for a limit of rules.
constexpr std::size_t rule_slot_count(std::uint32_t rule_limit) noexcept { return std::size_t{rule_limit} * 2; }

class RuleSlots {
 public:
  class Slot {
   public:
    ~Slot();
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    const RuleKey& key() const noexcept { return key_; }
    std::uint32_t number() const noexcept { return number_; }

   private:
    friend class RuleSlots;
    Slot(RuleSlots& owner, RuleKey key, std::uint32_t number) : owner_(owner), key_(std::move(key)), number_(number) {}
    RuleSlots& owner_;
    const RuleKey key_;
    const std::uint32_t number_;
  };

  /// `counters` have room for rule_slot_count(rule_limit) rules and outlive this.
  RuleSlots(std::uint32_t rule_limit, std::vector<datapath::WorkerCounters*> counters)
      : rule_limit_(rule_limit), counters_(std::move(counters)) {}

  /// The slot of the rule, a new one when nobody holds one. nullptr: none is free.
  std::shared_ptr<const Slot> take(const RuleKey& key);
  /// What all workers counted there.
  std::uint64_t count(std::uint32_t number) const noexcept;
  std::uint32_t rule_limit() const noexcept { return rule_limit_; }

 private:
  struct Held {
    std::uint32_t number = 0;
    std::weak_ptr<const Slot> slot;
  };
  void give_back(const Slot& slot);

  const std::uint32_t rule_limit_;
  const std::vector<datapath::WorkerCounters*> counters_;
  std::mutex mutex_;  // guards the rest
  std::map<RuleKey, Held> held_;
  std::deque<std::uint32_t> free_;  // that were taken before; the longest free first
  std::uint32_t never_taken_ = 0;   // these and all greater
};

}  // namespace millrace::control::switchd
