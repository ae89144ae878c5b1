/// The agent's one line to etcd: the client, the mirror of the cluster's prefix, what was known the last time, and who
/// hears of changes.
///
/// Shape:   start() tells the listeners what the cache has, as one batch, and then what etcd says. So a listener sees
///          one history: the first batch is a whole state (is_first), each other one is what changed since. With etcd
///          away at the start it is the state of the last run.
/// Order:   the listeners in the order of their subscription, then the cache.
/// Thread:  listeners are called one batch after the other, on the mirror's thread (the first one on that of start());
///          they must not wait for a revision. The rest: any.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "control/agent/cluster/keys.h"
#include "control/agent/cluster/mirror_cache.h"
#include "control/etcd/client.h"
#include "control/etcd/mirror.h"

namespace millrace::control::agent::cluster {

/// Where transactions go, and whether what they did is seen here.
class Transactions {
 public:
  virtual ~Transactions() = default;
  virtual net::Result<etcd::TxnResult> txn(const etcd::Txn& txn) = 0;
  /// True: the listeners have returned for `revision`.
  virtual bool wait_for_revision(std::int64_t revision, std::chrono::milliseconds timeout) = 0;
};

class ClusterLink final : public Transactions {
 public:
  struct Options {
    etcd::Options etcd;
    std::string prefix;
    std::string cache_file;  // of the mirror
    etcd::MirrorTimes times;
  };
  using Listener = std::function<void(const etcd::Batch&)>;

  static net::Result<std::unique_ptr<ClusterLink>> open(Options options);
  ~ClusterLink() override { stop(); }

  etcd::Client& client() { return *client_; }
  const etcd::Mirror& mirror() const { return *mirror_; }
  const Keys& keys() const { return keys_; }

  /// Who subscribes when something is known already is told that first; a change just then may be told twice.
  void subscribe(Listener listener);
  void start();
  /// No listener is called after it.
  void stop();
  /// True: the listeners know the cluster as it is now, or was when this was called. False: etcd is away, or slow.
  bool wait_until_current(std::chrono::milliseconds timeout);
  /// While it is held no listener is called: who reads first and follows then misses nothing.
  std::unique_lock<std::mutex> hold_back() { return std::unique_lock(delivery_mutex_); }

  net::Result<etcd::TxnResult> txn(const etcd::Txn& txn) override { return client_->txn(txn); }
  bool wait_for_revision(std::int64_t revision, std::chrono::milliseconds timeout) override {
    return mirror_->wait_for_revision(revision, timeout);
  }

 private:
  ClusterLink(Options options, std::unique_ptr<etcd::Client> client);
  void deliver(const etcd::Batch& batch);

  const Keys keys_;
  const std::string cache_file_;
  std::unique_ptr<etcd::Client> client_;
  std::unique_ptr<MirrorCache> cache_;
  bool is_known_ = false;  // the listeners had a first batch
  std::vector<Listener> listeners_;
  std::mutex delivery_mutex_;
  std::unique_ptr<etcd::Mirror> mirror_;  // last: its thread uses the others
};

}  // namespace millrace::control::agent::cluster
