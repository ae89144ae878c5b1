/// The part of etcd that the agents' objects rest on, in memory, so that a test says who has seen what when a write
/// comes.
///
/// Shape:   one store with revisions and conditional transactions; each Line is an agent's connection, which is told
///          changes when the test says so, or when it waits for a revision. A Line can be away, or lose an answer.
/// Thread:  any for txn(); a Line's deliveries are on the thread that asks for them.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "control/agent/cluster/cluster_link.h"

namespace millrace::control::agent::cluster {

class MemoryEtcd {
 public:
  /// As etcd does it; limits are checked.
  net::Result<etcd::TxnResult> txn(const etcd::Txn& txn) {
    const std::lock_guard guard(mutex_);
    const std::size_t writes = txn.puts.size() + txn.erases.size();
    if (txn.compares.size() > etcd::kTxnOperations || writes > etcd::kTxnOperations ||
        txn.ranges_else.size() > etcd::kTxnOperations) {
      return net::invalid_argument("too many operations in txn request");
    }
    etcd::TxnResult result;
    for (const etcd::Compare& compare : txn.compares) {
      const auto found = items_.find(compare.key);
      const etcd::KeyValue item = found == items_.end() ? etcd::KeyValue() : found->second;
      const std::int64_t value = compare.target == etcd::Compare::Target::kVersion       ? item.version
                                 : compare.target == etcd::Compare::Target::kModRevision ? item.mod_revision
                                                                                         : item.create_revision;
      if (value == compare.value) continue;
      result.revision = revision_;
      for (const std::string& key : txn.ranges_else) {
        if (items_.contains(key)) result.found.push_back(items_.at(key));
      }
      return result;
    }
    result.succeeded = true;
    etcd::Batch batch{revision_ + 1, {}, false};
    std::map<std::string, etcd::Change> changes;
    for (const etcd::Erase& erase : txn.erases) {
      const auto found = items_.find(erase.key);
      if (found == items_.end()) continue;
      changes[erase.key] = {erase.key, found->second, std::nullopt};
      items_.erase(found);
    }
    for (const etcd::Put& put : txn.puts) {
      if (changes.contains(put.key)) return net::invalid_argument("duplicate key given in txn request");
      const auto found = items_.find(put.key);
      etcd::KeyValue item{put.key, put.value, revision_ + 1, revision_ + 1, 1, put.lease};
      etcd::Change change{put.key, std::nullopt, std::nullopt};
      if (found != items_.end()) {
        item.create_revision = found->second.create_revision;
        item.version = found->second.version + 1;
        change.before = found->second;
      }
      change.after = items_[put.key] = item;
      changes[put.key] = std::move(change);
    }
    if (!changes.empty()) {
      ++revision_;
      for (auto& [key, change] : changes) batch.changes.push_back(std::move(change));
      history_.push_back(std::move(batch));
    }
    result.revision = revision_;
    return result;
  }

  /// As a person with etcdctl.
  void put(const std::string& key, const std::string& value) { (void)*txn({{}, {{key, value, 0}}, {}, {}}); }
  void erase(const std::string& key) { (void)*txn({{}, {}, {{key}}, {}}); }

  std::map<std::string, etcd::KeyValue> items() const {
    const std::lock_guard guard(mutex_);
    return items_;
  }
  std::int64_t revision() const {
    const std::lock_guard guard(mutex_);
    return revision_;
  }
  /// From the revision behind `since` on.
  std::vector<etcd::Batch> history(std::int64_t since) const {
    const std::lock_guard guard(mutex_);
    std::vector<etcd::Batch> all;
    for (const etcd::Batch& batch : history_) {
      if (batch.revision > since) all.push_back(batch);
    }
    return all;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, etcd::KeyValue> items_;
  std::deque<etcd::Batch> history_;
  std::int64_t revision_ = 1;
};

class MemoryLine final : public Transactions {
 public:
  explicit MemoryLine(MemoryEtcd& etcd) : etcd_(etcd) {}

  void subscribe(std::function<void(const etcd::Batch&)> listener) { listeners_.push_back(std::move(listener)); }

  net::Result<etcd::TxnResult> txn(const etcd::Txn& txn) override {
    ++txns;
    if (is_away) return net::unavailable("etcd: http://10.0.0.1:2379: connection refused");
    if (before_txn) std::exchange(before_txn, nullptr)();
    if (lost_requests > 0) {
      --lost_requests;
      return net::deadline_exceeded("etcd: http://10.0.0.1:2379 did not answer");
    }
    auto result = etcd_.txn(txn);
    races += result && !result->succeeded ? 1 : 0;
    if (lost_answers == 0) return result;
    --lost_answers;
    return net::deadline_exceeded("etcd: http://10.0.0.1:2379 did not answer");
  }

  bool wait_for_revision(std::int64_t revision, std::chrono::milliseconds) override {
    if (is_deaf) return false;
    deliver(revision);
    return true;
  }

  /// What is new up to `revision`, as the first state when there was none before.
  void deliver(std::int64_t revision = INT64_MAX) {
    const std::lock_guard guard(mutex_);
    if (seen_ == 0) {
      etcd::Batch all{etcd_.revision(), {}, true};
      for (const auto& [key, item] : etcd_.items()) all.changes.push_back({key, std::nullopt, item});
      seen_ = all.revision;
      for (const auto& listener : listeners_) listener(all);
    }
    for (const etcd::Batch& batch : etcd_.history(seen_)) {
      if (batch.revision > revision) return;
      seen_ = batch.revision;
      for (const auto& listener : listeners_) listener(batch);
    }
  }

  bool is_away = false, is_deaf = false;
  int lost_requests = 0, lost_answers = 0;  // of the next ones
  std::function<void()> before_txn;         // once: somebody else comes first
  int txns = 0, races = 0;                  // sent; those whose conditions did not hold

 private:
  MemoryEtcd& etcd_;
  std::mutex mutex_;
  std::vector<std::function<void(const etcd::Batch&)>> listeners_;
  std::int64_t seen_ = 0;
};

}  // namespace millrace::control::agent::cluster
