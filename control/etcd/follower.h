/// The thread behind a Mirror: reads the prefix as a whole, watches it from there, and begins again when that ends.
///
/// Theory:  a watch says which revision it has come to in two ways. A response without events that carries the watch's
///          own id is sent by the watch itself, after all its events: it is believed. The answer to a progress request
///          (id -1) may overtake events in etcd before 3.4.25 and 3.5.8: it is a sign of life and nothing more. To know
///          without an event that the mirror has come to a revision, the keys changed since are asked for and all keys
///          counted: none changed and as many as known means that the state is the same (see ask_whether_unchanged).
/// Thread:  run() and what it calls on its own; what the mirror offers on any. mutex_ is not held while on_batch runs.
/// Source:  etcd v3.4, mvcc/watchable_store.go (progress under the store's lock), issue 15220 of etcd (progress
/// overtakes).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "control/etcd/backoff.h"
#include "control/etcd/interrupt.h"
#include "control/etcd/key_table.h"
#include "control/etcd/mirror.h"
#include "control/etcd/session.h"
#include "control/etcd/stream.h"

namespace millrace::control::etcd {

class Mirror::Follower {
 public:
  Follower(Session& session, std::string prefix, OnBatch on_batch, MirrorTimes times);
  ~Follower() { stop(); }

  void seed(std::vector<KeyValue> items, std::int64_t revision);
  void start();
  void stop();
  bool wait_for_revision(std::int64_t revision, std::chrono::milliseconds timeout);
  Status status() const;
  std::optional<KeyValue> find(const std::string& key) const;
  std::vector<KeyValue> list(const std::string& prefix) const;

 private:
  using Clock = std::chrono::steady_clock;
  using Watch = Stream<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>;

  void run();
  net::Result<void> read_all();
  /// Returns why it ended.
  net::Error watch();
  net::Error follow(Watch& stream, Session::Member& member);
  /// An error ends the watch.
  net::Result<void> take(const etcdserverpb::WatchResponse& response, Session::Member& member);
  net::Result<void> take_created(const etcdserverpb::WatchResponse& response);
  net::Error canceled(const etcdserverpb::WatchResponse& response, Session::Member& member);
  void add_events(const etcdserverpb::WatchResponse& response);
  void emit_events();
  void emit(std::vector<Change> changes, std::int64_t revision, bool is_first);
  void come_to(std::int64_t revision);
  void set_disconnected(const net::Error& why);
  std::int64_t revision() const;
  void ask_whether_unchanged();

  Session& session_;
  const std::string prefix_;
  const OnBatch on_batch_;
  const MirrorTimes times_;
  Interrupt interrupt_;

  // The thread's own.
  Backoff backoff_;
  bool must_read_ = true;
  bool is_fresh_ = true;  // etcd itself has given no state yet
  std::int64_t watch_id_ = 0;
  std::vector<KeyEvent> events_;  // of a response whose fragments are not all here

  mutable std::mutex mutex_;
  std::condition_variable changed_;  // revision, and the end
  std::uint64_t cluster_id_ = 0;     // written by the thread alone
  KeyTable table_;
  Status status_;             // without keys
  bool is_emitting_ = false;  // table_ is ahead of status_.revision
  bool is_stopped_ = false;
  bool is_known_ = false;  // the first state has been emitted
  std::thread thread_;
};

}  // namespace millrace::control::etcd
