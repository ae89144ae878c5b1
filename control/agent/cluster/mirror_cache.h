/// The last that was known of the cluster, on disk: for an agent that starts while etcd is away.
///
/// Shape:   the keys of one prefix and the revision they were read at; each batch is one transaction. A copy of what
///          etcd has: WAL with synchronous=NORMAL, so a loss of power may take the last batches, which etcd tells
///          again.
/// Errors:  none to the caller. A file that is damaged, of another version or of another prefix is thrown away, with a
///          warning; when the disk refuses, too, there is no cache until the next start.
/// Thread:  one at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/agent/sqlite.h"
#include "control/etcd/client.h"
#include "control/etcd/mirror.h"

namespace millrace::control::agent::cluster {

class MirrorCache {
 public:
  struct State {
    std::vector<etcd::KeyValue> items;
    std::int64_t revision = 0;  // 0: nothing is known
  };

  static std::unique_ptr<MirrorCache> open(const std::string& path, const std::string& prefix);

  State load();
  void write(const etcd::Batch& batch);
  bool is_working() const { return database_.has_value(); }

 private:
  MirrorCache(std::string path, std::string prefix) : path_(std::move(path)), prefix_(std::move(prefix)) {}
  net::Result<void> prepare();
  net::Result<State> read();
  net::Result<void> put(const etcd::Batch& batch);
  /// Begins anew with an empty file.
  void throw_away(const net::Error& reason);

  const std::string path_, prefix_;
  std::optional<Database> database_;
};

}  // namespace millrace::control::agent::cluster
