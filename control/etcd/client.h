/// Client of an etcd cluster: keys of one flat space, read at a revision, written by compare-and-swap.
///
/// Shape:   keys and values are bytes. A revision is the cluster's one counter: every transaction that changes
///          something takes the next. A key's mod_revision is the revision of its last change; version counts its puts
///          since it was created, so "version == 0" says that it does not exist.
/// Errors:  kUnavailable        no endpoint can answer; nothing was done
///          kDeadlineExceeded   a write was sent and its answer never came: it may have been done, or be done later.
///                              Read again before you act on it
///          kPermissionDenied   the user, its password or its rights
///          kFailedPrecondition "compacted": the revision asked for is no longer there
///          kNotFound           the lease of a put is gone
///          kResourceExhausted  etcd's quota or queue is full; kInvalidArgument: a limit below, refused before it is
///          sent Each sentence names the endpoints.
/// Failover: endpoints are tried in turn, beginning with the one that answered last. What only reads goes to the next
///          one on any failure; a write goes to the next one as long as it is certain that it was not sent. Members
///          without a leader refuse (metadata "hasleader"), and the call waits for one up to its timeout.
/// Thread:  any; calls block, up to Options::timeout.
/// Source:  etcd v3.4, "gRPC API reference" and "API guarantees".
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/result.h"

namespace millrace::control::etcd {

inline constexpr std::size_t kTxnOperations =
    128;  // etcd --max-txn-ops: of compares, of puts and erases, of ranges_else
inline constexpr std::size_t kRequestBytes = 1536 * 1024 - 1024;  // etcd --max-request-bytes, less what etcd adds

struct Options {
  std::vector<std::string> endpoints;       // "http://10.0.0.1:2379", "https://etcd-1:2379", "http://[fd00::1]:2379"
  std::string ca_file;                      // PEM of who signs the servers; empty: the system's
  std::string cert_file, key_file;          // PEM of this client, both or none
  std::string user, password_file;          // both or none; the file is read at each authentication, one line
  std::chrono::milliseconds timeout{4000};  // of one call, over all endpoints
};

struct KeyValue {
  std::string key, value;
  std::int64_t create_revision = 0, mod_revision = 0, version = 0;
  std::int64_t lease = 0;  // 0: none
  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

/// Holds when the key's number equals `value`; a key that does not exist has 0 everywhere.
struct Compare {
  enum class Target { kVersion, kModRevision, kCreateRevision };
  std::string key;
  Target target = Target::kVersion;
  std::int64_t value = 0;
};

struct Put {
  std::string key, value;
  std::int64_t lease = 0;
};

struct Erase {
  std::string key;
};

/// When every compare holds: all puts and erases, as one revision; else: nothing but the reads of `ranges_else`.
/// A key may be written once.
struct Txn {
  std::vector<Compare> compares;
  std::vector<Put> puts;
  std::vector<Erase> erases;
  std::vector<std::string> ranges_else;  // keys, each alone
};

struct TxnResult {
  bool succeeded = false;
  std::int64_t revision = 0;    // of the change when it succeeded, else of the store
  std::vector<KeyValue> found;  // those of ranges_else that exist, when it did not succeed
};

struct RangeResult {
  std::int64_t revision = 0;  // of the store at the answer, also when an older one was asked for
  std::uint64_t cluster_id = 0;
  std::vector<KeyValue> items;  // ascending by key, as bytes
  bool more = false;            // the limit cut it: go on from the last key + '\0'
  std::int64_t count = 0;       // keys from from_key on, whatever the limit
};

class Session;

class Client {
 public:
  /// Reads the files and checks the endpoints; connects at the first call.
  static net::Result<std::unique_ptr<Client>> open(Options options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Keys that begin with `prefix` ("": all), at `revision` (0: the newest), at most `limit` (0: all), from `from_key`
  /// on (itself included).
  net::Result<RangeResult> range(const std::string& prefix, std::int64_t revision, std::int64_t limit,
                                 const std::string& from_key = "");
  net::Result<std::optional<KeyValue>> get(const std::string& key);
  net::Result<TxnResult> txn(const Txn& txn);
  /// The revision of the change.
  net::Result<std::int64_t> put(const Put& put);
  /// The revision of the store after it; `prefix` is not empty.
  net::Result<std::int64_t> erase_prefix(const std::string& prefix);

  /// For this room: how calls and streams of a lease and of a mirror reach the cluster.
  Session& session() { return *session_; }

 private:
  explicit Client(std::unique_ptr<Session> session);

  std::unique_ptr<Session> session_;
};

}  // namespace millrace::control::etcd
