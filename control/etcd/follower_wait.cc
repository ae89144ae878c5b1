// Waiting until the mirror has come to a revision.
#include <algorithm>

#include "control/etcd/follower.h"
#include "control/etcd/reads.h"

namespace millrace::control::etcd {
namespace {

// A change of the prefix comes by itself, usually within this; only then is etcd asked whether there was one at all.
constexpr std::chrono::milliseconds kFirstPatience{20}, kLastPatience{500};

}  // namespace

bool Mirror::Follower::wait_for_revision(std::int64_t revision, std::chrono::milliseconds timeout) {
  const Clock::time_point end = Clock::now() + timeout;
  const auto is_there = [&] { return is_stopped_ || (is_known_ && status_.revision >= revision); };
  for (auto patience = kFirstPatience;; patience = std::min(patience * 2, kLastPatience)) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_until(lock, std::min(end, Clock::now() + patience), is_there)) {
        return is_known_ && status_.revision >= revision;
      }
      if (Clock::now() >= end) return false;
      if (!status_.connected) continue;
    }
    ask_whether_unchanged();
  }
}

// Let S be the keys at the revision r that the mirror has come to, S' those at the answer's revision r' > r. If no key
// of S' changed after r then each of them was the same at r, so S' is part of S; if there are as many, then S' = S.
// What was created and deleted in between is not seen, as after any whole reading; its events, if they still come, are
// of revisions not above r' and are passed over.
void Mirror::Follower::ask_whether_unchanged() {
  std::int64_t revision = 0;
  std::size_t keys = 0;
  std::uint64_t relists = 0;
  {
    const std::lock_guard lock(mutex_);
    if (is_emitting_ || !is_known_) return;
    revision = status_.revision;
    keys = table_.size();
    relists = status_.relists;
  }
  const auto answer =
      read_range(session_, {.prefix = prefix_, .from_key = "", .limit = 1, .changed_after = revision}, &interrupt_);
  if (!answer || !answer->items.empty() || answer->count != static_cast<std::int64_t>(keys)) return;
  const std::lock_guard lock(mutex_);
  const bool is_same = !is_emitting_ && status_.connected && status_.revision == revision && status_.relists == relists;
  if (!is_same || answer->revision <= revision || answer->cluster_id != cluster_id_) return;
  status_.revision = answer->revision;
  changed_.notify_all();
}

}  // namespace millrace::control::etcd
