// The thread's loop, the whole reading, and how batches leave.
#include "control/etcd/follower.h"

#include <fmt/format.h>

#include <utility>

#include "control/etcd/prefix.h"
#include "control/etcd/reads.h"

namespace millrace::control::etcd {
namespace {

constexpr std::int64_t kPageKeys = 500;

}  // namespace

Mirror::Follower::Follower(Session& session, std::string prefix, OnBatch on_batch, MirrorTimes times)
    : session_(session),
      prefix_(std::move(prefix)),
      on_batch_(std::move(on_batch)),
      times_(times),
      backoff_(times.first_backoff, times.last_backoff),
      table_(prefix_) {
  status_.message = "not started";
}

void Mirror::Follower::seed(std::vector<KeyValue> items, std::int64_t revision) {
  const std::lock_guard lock(mutex_);
  table_.replace(std::move(items));
  status_.revision = revision;
}

void Mirror::Follower::start() {
  if (thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    status_.message = "the first state has not come from etcd yet";
  }
  thread_ = std::thread([this] { run(); });
}

void Mirror::Follower::stop() {
  interrupt_.set();
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  is_stopped_ = true;
  status_.connected = false;
  status_.message = "stopped";
  changed_.notify_all();
}

void Mirror::Follower::run() {
  while (!interrupt_.is_set()) {
    if (must_read_) {
      if (const auto read = read_all(); !read) {
        set_disconnected(read.error());
        interrupt_.pause(backoff_.next());
        continue;
      }
    }
    const net::Error why = watch();
    if (interrupt_.is_set()) return;
    set_disconnected(why);
    interrupt_.pause(backoff_.next());
  }
}

net::Result<void> Mirror::Follower::read_all() {
  RangeQuestion question{.prefix = prefix_, .from_key = "", .limit = kPageKeys};
  std::vector<KeyValue> items;
  for (bool more = true; more;) {
    auto page = read_range(session_, question, &interrupt_);
    if (!page) return page.error();
    // The first page says of which revision, and of which cluster, all others are.
    if (question.revision == 0) {
      question.revision = page->revision;
      const std::lock_guard lock(mutex_);
      cluster_id_ = page->cluster_id;
    } else if (page->cluster_id != cluster_id_) {
      return net::unavailable("the endpoints of etcd are of different clusters");
    }
    more = page->more;
    if (more) question.from_key = next_key(page->items.back().key);
    items.insert(items.end(), std::make_move_iterator(page->items.begin()), std::make_move_iterator(page->items.end()));
  }
  if (interrupt_.is_set()) return net::unavailable("stopped");
  std::vector<Change> changes;
  {
    const std::lock_guard lock(mutex_);
    changes = table_.replace(std::move(items));
    is_emitting_ = true;
    if (!is_fresh_) ++status_.relists;
  }
  const bool is_first = std::exchange(is_fresh_, false);
  must_read_ = false;
  emit(std::move(changes), question.revision, is_first);
  return {};
}

void Mirror::Follower::emit(std::vector<Change> changes, std::int64_t revision, bool is_first) {
  if (on_batch_ && (is_first || !changes.empty())) {
    on_batch_({.revision = revision, .changes = std::move(changes), .is_first = is_first});
  }
  const std::lock_guard lock(mutex_);
  is_emitting_ = false;
  is_known_ = true;
  status_.revision = revision;
  changed_.notify_all();
}

void Mirror::Follower::come_to(std::int64_t revision) {
  const std::lock_guard lock(mutex_);
  if (revision <= status_.revision) return;
  status_.revision = revision;
  changed_.notify_all();
}

void Mirror::Follower::set_disconnected(const net::Error& why) {
  const std::lock_guard lock(mutex_);
  status_.connected = false;
  status_.message = why.message;
}

std::int64_t Mirror::Follower::revision() const {
  const std::lock_guard lock(mutex_);
  return status_.revision;
}

Mirror::Status Mirror::Follower::status() const {
  const std::lock_guard lock(mutex_);
  Status status = status_;
  status.keys = table_.size();
  return status;
}

std::optional<KeyValue> Mirror::Follower::find(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  return table_.find(key);
}

std::vector<KeyValue> Mirror::Follower::list(const std::string& prefix) const {
  const std::lock_guard lock(mutex_);
  return table_.list(prefix);
}

}  // namespace millrace::control::etcd
