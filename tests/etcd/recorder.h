/// What a mirror has emitted, kept for a test: the batches, and the states they make one after the other.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "control/etcd/mirror.h"

namespace millrace::control::etcd {

using State = std::map<std::string, std::string>;

class Recorder {
 public:
  static constexpr std::chrono::seconds kPatience{20};

  Mirror::OnBatch on_batch() {
    return [this](const Batch& batch) { take(batch); };
  }

  /// Waits until what has been emitted is so; false after kPatience.
  bool wait(const std::function<bool(const Recorder&)>& is_so) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return is_so(*this); });
  }

  /// From the next batch on the mirror is held in on_batch, until release().
  void hold() { set_held(true); }
  void release() { set_held(false); }

  bool wait_key(const std::string& key, const std::string& value) {
    return wait([&](const Recorder& self) {
      const auto found = self.state_.find(key);
      return found != self.state_.end() && found->second == value;
    });
  }

  std::vector<Batch> batches() const {
    const std::lock_guard lock(mutex_);
    return batches_;
  }
  State state() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }
  /// The state after the last batch not above `revision`.
  State state_at(std::int64_t revision) const {
    const std::lock_guard lock(mutex_);
    const auto after = states_.upper_bound(revision);
    return after == states_.begin() ? State{} : std::prev(after)->second;
  }

  bool wait_state(const State& state) {
    return wait([&](const Recorder& self) { return self.state_ == state; });
  }

 private:
  void set_held(bool is_held) {
    const std::lock_guard lock(mutex_);
    is_held_ = is_held;
    changed_.notify_all();
  }

  void take(const Batch& batch) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(batches_.empty() || batch.revision > batches_.back().revision) << batch.revision;
    EXPECT_EQ(batch.is_first, batches_.empty());
    for (const Change& change : batch.changes) {
      const auto known = state_.find(change.key);
      EXPECT_EQ(change.before.has_value(), known != state_.end()) << change.key;
      if (change.before && known != state_.end()) { EXPECT_EQ(change.before->value, known->second) << change.key; }
      if (change.after) {
        EXPECT_EQ(change.after->key, change.key);
        state_[change.key] = change.after->value;
      } else {
        state_.erase(change.key);
      }
    }
    states_[batch.revision] = state_;
    batches_.push_back(batch);
    changed_.notify_all();
    EXPECT_TRUE(changed_.wait_for(lock, 3 * kPatience, [&] { return !is_held_; })) << "nobody released the mirror";
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool is_held_ = false;
  std::vector<Batch> batches_;
  State state_;
  std::map<std::int64_t, State> states_;
};

inline State to_state(const std::vector<KeyValue>& items) {
  State state;
  for (const KeyValue& item : items) state[item.key] = item.value;
  return state;
}

}  // namespace millrace::control::etcd
