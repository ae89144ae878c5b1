#include "control/agent/cluster/attachment_publisher.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/agent/cluster/values.h"

namespace millrace::control::agent::cluster {

AttachmentPublisher::AttachmentPublisher(Transactions& etcd, Keys keys, std::string node)
    : etcd_(etcd), keys_(std::move(keys)), node_(std::move(node)) {}

void AttachmentPublisher::set(const std::vector<Attachment>& attachments) {
  const std::lock_guard guard(mutex_);
  wanted_.clear();
  for (const Attachment& each : attachments) {
    wanted_[keys_.print(AttachmentPlace{node_, each.host_interface})] = attachment_value(pod_attachment(each));
  }
  is_dirty_ = true;
  changed_.notify_all();
}

void AttachmentPublisher::on_batch(const etcd::Batch& batch) {
  const std::string own = keys_.attachments_of(node_);
  const auto first = std::ranges::lower_bound(batch.changes, own, {}, &etcd::Change::key);
  if (first == batch.changes.end() || !first->key.starts_with(own)) return;
  const std::lock_guard guard(mutex_);
  for (auto change = first; change != batch.changes.end() && change->key.starts_with(own); ++change) {
    if (change->after) {
      there_[change->key] = change->after->value;
    } else {
      there_.erase(change->key);
    }
  }
  is_dirty_ = true;
  changed_.notify_all();
}

void AttachmentPublisher::start() {
  thread_ = std::thread([this] { run(); });
}

void AttachmentPublisher::stop() {
  {
    const std::lock_guard guard(mutex_);
    is_stopped_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

etcd::Txn AttachmentPublisher::difference() const {
  etcd::Txn txn;
  const auto is_full = [&txn] { return txn.puts.size() + txn.erases.size() == etcd::kTxnOperations; };
  // What goes comes first: an address is a new pod's only when it was said that it is not the former one's.
  for (const auto& [key, value] : there_) {
    if (is_full()) return txn;
    if (!wanted_.contains(key)) txn.erases.push_back({key});
  }
  for (const auto& [key, value] : wanted_) {
    if (is_full()) return txn;
    const auto found = there_.find(key);
    if (found == there_.end() || found->second != value) txn.puts.push_back({key, value});
  }
  return txn;
}

void AttachmentPublisher::run() {
  std::chrono::milliseconds pause = kFirstPause;
  std::unique_lock lock(mutex_);
  while (!is_stopped_) {
    is_dirty_ = false;
    const etcd::Txn txn = difference();
    if (txn.puts.empty() && txn.erases.empty()) {
      changed_.wait(lock, [this] { return is_dirty_ || is_stopped_; });
      continue;
    }
    lock.unlock();
    const auto written = etcd_.txn(txn);
    // Seen here before the next difference is taken, or that one would do the same again. Not seen is no harm.
    const bool is_seen = written && etcd_.wait_for_revision(written->revision, kLastPause);
    lock.lock();
    if (is_seen) {
      message_.clear();
      pause = kFirstPause;
      continue;
    }
    if (!written && message_.empty()) {
      spdlog::warn("this node's pods are told to the cluster later: {}", written.error().message);
    }
    message_ = written ? "this node does not follow etcd" : written.error().message;
    changed_.wait_for(lock, pause, [this] { return is_stopped_; });
    pause = std::min(2 * pause, kLastPause);
  }
}

AttachmentPublisher::Status AttachmentPublisher::status() const {
  const std::lock_guard guard(mutex_);
  Status status{0, message_};
  for (const auto& [key, value] : wanted_) {
    const auto found = there_.find(key);
    status.pending += found == there_.end() || found->second != value ? 1 : 0;
  }
  for (const auto& [key, value] : there_) status.pending += wanted_.contains(key) ? 0 : 1;
  return status;
}

}  // namespace millrace::control::agent::cluster
