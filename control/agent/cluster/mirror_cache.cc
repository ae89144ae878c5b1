#include "control/agent/cluster/mirror_cache.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>

namespace millrace::control::agent::cluster {
namespace {

constexpr int kVersion = 1;

constexpr const char* kTables = R"sql(
    CREATE TABLE keys (
      key             BLOB PRIMARY KEY,
      value           BLOB NOT NULL,
      create_revision INTEGER NOT NULL,
      mod_revision    INTEGER NOT NULL,
      version         INTEGER NOT NULL,
      lease           INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE state (
      id       INTEGER PRIMARY KEY CHECK (id = 1),
      prefix   TEXT NOT NULL,
      revision INTEGER NOT NULL
    ) STRICT;
    )sql";

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
std::string text_of(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

std::unique_ptr<MirrorCache> MirrorCache::open(const std::string& path, const std::string& prefix) {
  std::unique_ptr<MirrorCache> cache(new MirrorCache(path, prefix));
  if (auto prepared = cache->prepare(); !prepared) cache->throw_away(prepared.error());
  return cache;
}

net::Result<void> MirrorCache::prepare() {
  database_.reset();
  auto database = Database::open(path_);
  if (!database) return database.error();
  database_ = *std::move(database);
  for (const char* pragma : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL"}) {
    if (auto set = database_->execute(pragma); !set) return set;
  }
  auto version = database_->query_integer("PRAGMA user_version");
  if (!version) return version.error();
  if (*version == kVersion) {
    auto check = database_->prepare("PRAGMA quick_check(1)");
    if (!check) return check.error();
    auto row = check->step();
    if (!row) return row.error();
    if (*row && check->text(0) != "ok") return net::failed_precondition("is damaged: " + check->text(0));
    return {};
  }
  if (*version != 0) return net::failed_precondition(fmt::format("is of version {}", *version));
  auto transaction = Transaction::begin(*database_);
  if (!transaction) return transaction.error();
  if (auto made = database_->execute(kTables); !made) return made;
  if (auto set = database_->execute(fmt::format("PRAGMA user_version = {}", kVersion)); !set) return set;
  return transaction->commit();
}

void MirrorCache::throw_away(const net::Error& reason) {
  spdlog::warn("{}: {}; begun anew: it only holds what etcd says again", path_, reason.message);
  database_.reset();
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path_ + suffix, ignored);
  if (auto prepared = prepare(); !prepared) {
    spdlog::warn("{}: {}; without it the agent cannot start while etcd is away", path_, prepared.error().message);
    database_.reset();
  }
}

MirrorCache::State MirrorCache::load() {
  if (!database_) return {};
  auto state = read();
  if (state) return *std::move(state);
  throw_away(state.error());
  return {};
}

net::Result<MirrorCache::State> MirrorCache::read() {
  State state;
  auto head = database_->prepare("SELECT prefix, revision FROM state");
  if (!head) return head.error();
  auto row = head->step();
  if (!row) return row.error();
  if (!*row) return state;
  if (head->text(0) != prefix_) {
    return net::failed_precondition(fmt::format("is of {}, not of {}", head->text(0), prefix_));
  }
  state.revision = head->integer(1);
  auto keys =
      database_->prepare("SELECT key, value, create_revision, mod_revision, version, lease FROM keys ORDER BY key");
  if (!keys) return keys.error();
  for (row = keys->step(); row && *row; row = keys->step()) {
    state.items.push_back({text_of(keys->blob(0)), text_of(keys->blob(1)), keys->integer(2), keys->integer(3),
                           keys->integer(4), keys->integer(5)});
  }
  if (!row) return row.error();
  return state;
}

void MirrorCache::write(const etcd::Batch& batch) {
  if (!database_) return;
  if (auto written = put(batch); !written) {
    // What is on the disk would be of several times from now on.
    throw_away(written.error());
    database_.reset();
  }
}

net::Result<void> MirrorCache::put(const etcd::Batch& batch) {
  auto transaction = Transaction::begin(*database_);
  if (!transaction) return transaction.error();
  auto put = database_->prepare(
      "INSERT INTO keys (key, value, create_revision, mod_revision, version, lease) VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
      "ON CONFLICT (key) DO UPDATE SET value = excluded.value, create_revision = excluded.create_revision, "
      "mod_revision = excluded.mod_revision, version = excluded.version, lease = excluded.lease");
  if (!put) return put.error();
  auto erase = database_->prepare("DELETE FROM keys WHERE key = ?1");
  if (!erase) return erase.error();
  for (const etcd::Change& change : batch.changes) {
    Statement& statement = change.after ? *put : *erase;
    statement.reset();
    statement.bind(1, bytes_of(change.key));
    if (change.after) {
      statement.bind(2, bytes_of(change.after->value))
          .bind(3, change.after->create_revision)
          .bind(4, change.after->mod_revision)
          .bind(5, change.after->version)
          .bind(6, change.after->lease);
    }
    if (auto run = statement.run(); !run) return run;
  }
  auto head = database_->prepare(
      "INSERT INTO state (id, prefix, revision) VALUES (1, ?1, ?2) "
      "ON CONFLICT (id) DO UPDATE SET prefix = excluded.prefix, revision = excluded.revision");
  if (!head) return head.error();
  head->bind(1, prefix_).bind(2, batch.revision);
  if (auto run = head->run(); !run) return run;
  return transaction->commit();
}

}  // namespace millrace::control::agent::cluster
