#include "control/switch/rule_slots.h"

namespace millrace::control::switchd {

RuleSlots::Slot::~Slot() { owner_.give_back(*this); }

std::shared_ptr<const RuleSlots::Slot> RuleSlots::take(const RuleKey& key) {
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(key);
  if (found != held_.end()) {
    if (auto slot = found->second.slot.lock()) return slot;
  }
  std::uint32_t number = never_taken_;
  if (number < rule_slot_count(rule_limit_)) {
    ++never_taken_;
  } else if (!free_.empty()) {
    number = free_.front();
    free_.pop_front();
  } else {
    return nullptr;
  }
  const std::shared_ptr<const Slot> slot(new Slot(*this, key, number));
  held_[key] = {number, slot};
  return slot;
}

std::uint64_t RuleSlots::count(std::uint32_t number) const noexcept {
  std::uint64_t sum = 0;
  for (const datapath::WorkerCounters* counters : counters_) sum += counters->rule(number).get();
  return sum;
}

void RuleSlots::give_back(const Slot& slot) {
  const std::lock_guard lock(mutex_);
  // Another may have been taken for the rule since the last holder let go.
  if (const auto found = held_.find(slot.key()); found != held_.end() && found->second.number == slot.number()) {
    held_.erase(found);
  }
  for (datapath::WorkerCounters* counters : counters_) counters->rule(slot.number()).reset();
  free_.push_back(slot.number());
}

}  // namespace millrace::control::switchd
