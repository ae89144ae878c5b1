/// All keys of a prefix as etcd has them, followed change by change.
///
/// Theory:  Range in pages pinned at one revision, then Watch from the next: no change is lost between the two and none
///          comes twice. What the watch cannot give any more (compacted), and what cannot be followed (a cluster
///          restored from a backup counts anew), is read again as a whole and emitted as the difference, deletions
///          included.
/// Batch:   what one revision changed, whole; of a whole reading: everything that differs, under the revision it was
///          read at. Revisions ascend, but for a cluster that counts anew. `is_first` is the first state that etcd
///          itself gave: without seed() every key as new; after seed() what differs from the seed, perhaps nothing.
/// Silence: a stream that says nothing for Times::silence is asked for a sign of life (WatchProgressRequest); without
///          one for Times::answer it is left for another endpoint. Reconnects wait first_backoff, doubling to
///          last_backoff, each 50..100 % of it at random.
/// Thread:  on_batch is called on the mirror's thread, one after the other; it does not call stop() or
///          wait_for_revision(). While it runs find() and list() give the state after the batch. All else: any thread.
/// Source:  etcd v3.4, "API guarantees: watch APIs" (ordered, unique, atomic, resumable).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/etcd/client.h"

namespace millrace::control::etcd {

struct Change {
  std::string key;
  std::optional<KeyValue> before, after;  // before: none when it is new; after: none when it was deleted
};

struct Batch {
  std::int64_t revision = 0;
  std::vector<Change> changes;  // each key once, ascending
  bool is_first = false;
};

struct MirrorTimes {
  std::chrono::milliseconds silence{5000}, answer{5000};
  std::chrono::milliseconds first_backoff{200}, last_backoff{5000};
};

class Mirror {
 public:
  using OnBatch = std::function<void(const Batch&)>;
  struct Status {
    bool connected = false;     // the watch stands
    std::string message;        // why not, a sentence; empty when connected
    std::int64_t revision = 0;  // on_batch has returned for it
    std::size_t keys = 0;
    std::uint64_t relists = 0;  // whole readings after the first
  };

  /// `client` outlives the mirror.
  Mirror(Client& client, std::string prefix, OnBatch on_batch, MirrorTimes times = {});
  ~Mirror();
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  /// What was known the last time: find() and list() give it until etcd answers. Before start(); emits no batch.
  void seed(std::vector<KeyValue> items, std::int64_t revision);
  void start();
  /// Returns when on_batch will not be called any more.
  void stop();

  /// True: on_batch has returned for `revision`, or nothing of the prefix changed up to it. A revision that a write to
  /// the prefix returned is seen as soon as its change comes; of another one etcd is asked whether the prefix changed.
  bool wait_for_revision(std::int64_t revision, std::chrono::milliseconds timeout);

  Status status() const;
  std::optional<KeyValue> find(const std::string& key) const;
  /// Those that begin with `prefix`, ascending by key.
  std::vector<KeyValue> list(const std::string& prefix) const;

 private:
  class Follower;
  std::unique_ptr<Follower> follower_;
};

}  // namespace millrace::control::etcd
