/// One lock for each attachment that is being worked on: calls for one attachment run one after another, those for
/// different ones at the same time.
///
/// Shape:   an entry lives as long as somebody holds it or waits for it.
/// Thread:  any. A KeyLocks outlives its guards.
#pragma once

#include <map>
#include <mutex>

#include "control/agent/model.h"

namespace millrace::control::agent {

class KeyLocks {
 private:
  struct Entry {
    std::mutex mutex;
    unsigned users = 0;  // holders and waiters, under the KeyLocks' mutex
  };
  using Entries = std::map<AttachmentKey, Entry>;  // a map: an entry stays where it is

 public:
  class Guard {
   public:
    Guard(KeyLocks& owner, const AttachmentKey& key) : owner_(owner), entry_(owner.enter(key)) {
      entry_->second.mutex.lock();
    }
    ~Guard() {
      entry_->second.mutex.unlock();
      owner_.leave(entry_);
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    KeyLocks& owner_;
    Entries::iterator entry_;
  };

 private:
  Entries::iterator enter(const AttachmentKey& key) {
    const std::lock_guard guard(mutex_);
    const auto entry = entries_.try_emplace(key).first;
    ++entry->second.users;
    return entry;
  }
  void leave(Entries::iterator entry) {
    const std::lock_guard guard(mutex_);
    if (--entry->second.users == 0) entries_.erase(entry);
  }

  std::mutex mutex_;
  Entries entries_;
};

}  // namespace millrace::control::agent
