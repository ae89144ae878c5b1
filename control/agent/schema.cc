#include "control/agent/schema.h"

#include <array>
#include <string>

namespace millrace::control::agent {
namespace {

// A migration that was released is never edited: a change is a new entry.
constexpr std::array kMigrations = {
    R"sql(
    CREATE TABLE attachments (
      id              INTEGER PRIMARY KEY AUTOINCREMENT,
      network         TEXT NOT NULL,
      container_id    TEXT NOT NULL,
      ifname          TEXT NOT NULL,
      state           INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3),
      netns           TEXT NOT NULL,
      pod_namespace   TEXT NOT NULL,
      pod_name        TEXT NOT NULL,
      pod_uid         TEXT NOT NULL,
      host_interface  TEXT NOT NULL UNIQUE,
      host_mac        BLOB NOT NULL CHECK (length(host_mac) = 6),
      mac             BLOB NOT NULL CHECK (length(mac) = 6),
      mtu             INTEGER NOT NULL,
      delegated_ipam  INTEGER NOT NULL,
      created_unix_ms INTEGER NOT NULL,
      UNIQUE (network, container_id, ifname)
    ) STRICT;

    -- One row for every address that is in use (attachment set), or was and waits to be used again (released_seq set).
    CREATE TABLE addresses (
      address      BLOB PRIMARY KEY CHECK (length(address) IN (4, 16)),
      attachment   INTEGER REFERENCES attachments (id),
      released_seq INTEGER,
      CHECK ((attachment IS NULL) <> (released_seq IS NULL))
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX addresses_of_attachment ON addresses (attachment) WHERE attachment IS NOT NULL;
    CREATE INDEX addresses_released ON addresses (released_seq) WHERE released_seq IS NOT NULL;

    -- Below next_index every address of the block has been handed out at least once.
    CREATE TABLE blocks (
      block      TEXT PRIMARY KEY,
      next_index INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE pod_objects (
      id            INTEGER PRIMARY KEY,
      pod_namespace TEXT NOT NULL,
      name          TEXT NOT NULL,
      UNIQUE (pod_namespace, name)
    ) STRICT;
    CREATE TABLE pod_labels (
      pod   INTEGER NOT NULL REFERENCES pod_objects (id) ON DELETE CASCADE,
      key   TEXT NOT NULL,
      value TEXT NOT NULL,
      PRIMARY KEY (pod, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE pod_ports (
      pod      INTEGER NOT NULL REFERENCES pod_objects (id) ON DELETE CASCADE,
      position INTEGER NOT NULL,
      name     TEXT NOT NULL,
      port     INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
      protocol TEXT NOT NULL,
      PRIMARY KEY (pod, position)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE meta (
      key   TEXT PRIMARY KEY,
      value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    )sql",
    // Routes of a pod besides its default ones, as its IPAM plugin asked for them.
    R"sql(
    CREATE TABLE attachment_routes (
      attachment  INTEGER NOT NULL REFERENCES attachments (id) ON DELETE CASCADE,
      position    INTEGER NOT NULL,
      destination BLOB NOT NULL CHECK (length(destination) IN (4, 16)),
      prefix_bits INTEGER NOT NULL CHECK (prefix_bits BETWEEN 0 AND 8 * length(destination)),
      mtu         INTEGER NOT NULL,
      advmss      INTEGER NOT NULL,
      priority    INTEGER NOT NULL,
      PRIMARY KEY (attachment, position)
    ) STRICT, WITHOUT ROWID;
    )sql",
    // Attachments whose addresses are leased by DHCP.
    "ALTER TABLE attachments ADD COLUMN dhcp INTEGER NOT NULL DEFAULT 0;",
    // Kubernetes objects as canonical JSON. What was known of pods by itself becomes Pods.
    R"sql(
    CREATE TABLE objects (
      kind            TEXT NOT NULL,
      namespace       TEXT NOT NULL,
      name            TEXT NOT NULL,
      json            TEXT NOT NULL,
      created_unix_ms INTEGER NOT NULL,
      PRIMARY KEY (kind, namespace, name)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO objects (kind, namespace, name, json, created_unix_ms)
      SELECT 'Pod', pod_namespace, name, json_object(
        'apiVersion', 'v1', 'kind', 'Pod',
        'metadata', json_object('name', name, 'namespace', pod_namespace, 'labels',
          json((SELECT json_group_object(key, value) FROM pod_labels WHERE pod = id))),
        'spec', json_object('containers', json_array(json_object('name', 'main', 'ports',
          json((SELECT json_group_array(json_object('name', ports.name, 'containerPort', port, 'protocol', protocol))
                FROM (SELECT * FROM pod_ports WHERE pod = id ORDER BY position) AS ports)))))),
        1000 * CAST(strftime('%s', 'now') AS INTEGER)
      FROM pod_objects;
    DROP TABLE pod_ports;
    DROP TABLE pod_labels;
    DROP TABLE pod_objects;
    )sql",
    // Blocks of addresses claimed in etcd (store_blocks.h), in the order of their claims.
    R"sql(
    CREATE TABLE claimed_blocks (
      id    INTEGER PRIMARY KEY AUTOINCREMENT,
      block TEXT NOT NULL UNIQUE,
      pool  TEXT NOT NULL,
      state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3)
    ) STRICT;
    )sql",
    // Attachments by a vhost-user socket; '': by a kernel interface.
    R"sql(
    ALTER TABLE attachments ADD COLUMN vhost_path TEXT NOT NULL DEFAULT '';
    ALTER TABLE attachments ADD COLUMN vhost_pod_listens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE attachments ADD COLUMN vhost_queue_pairs INTEGER NOT NULL DEFAULT 0;
    CREATE UNIQUE INDEX attachments_vhost_path ON attachments (vhost_path) WHERE vhost_path <> '';
    )sql",
};

}  // namespace

int schema_version() { return static_cast<int>(kMigrations.size()); }

net::Result<void> check(Database& database) {
  auto version = database.query_integer("PRAGMA user_version");
  if (!version) return version.error();
  if (*version < 0 || *version > schema_version()) {
    return net::failed_precondition("database: has version " + std::to_string(*version) +
                                    ", this millrace-agent knows versions up to " + std::to_string(schema_version()) +
                                    "; use a later millrace-agent, or move the file away");
  }
  auto statement = database.prepare("PRAGMA quick_check(1)");
  if (!statement) return statement.error();
  auto row = statement->step();
  if (!row) return row.error();
  if (*row && statement->text(0) != "ok") {
    return net::failed_precondition("database: is damaged (" + statement->text(0) + "); move the file away");
  }
  return {};
}

net::Result<void> migrate(Database& database, int target) {
  auto version = database.query_integer("PRAGMA user_version");
  if (!version) return version.error();
  for (std::int64_t done = *version; done < target; ++done) {
    auto transaction = Transaction::begin(database);
    if (!transaction) return transaction.error();
    if (auto made = database.execute(kMigrations[static_cast<std::size_t>(done)]); !made) return made.error();
    if (auto set = database.execute("PRAGMA user_version = " + std::to_string(done + 1)); !set) return set.error();
    if (auto committed = transaction->commit(); !committed) return committed.error();
  }
  return {};
}

}  // namespace millrace::control::agent
