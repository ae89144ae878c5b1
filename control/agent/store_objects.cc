#include "control/agent/store_objects.h"

#include <fmt/format.h>

namespace millrace::control::agent {

net::Result<std::vector<StoredObject>> read_objects(Database& database) {
  auto statement = database.prepare("SELECT kind, namespace, name, json, created_unix_ms FROM objects");
  if (!statement) return statement.error();
  std::vector<StoredObject> objects;
  auto row = statement->step();
  for (; row && *row; row = statement->step()) {
    const kube::KindNames* kind = kube::find_kind(statement->text(0));
    if (kind == nullptr) {
      return net::failed_precondition(
          fmt::format("database: an object of kind {}, which this agent does not know", statement->text(0)));
    }
    objects.push_back({{kind->kind, statement->text(1), statement->text(2)},
                       statement->text(3),
                       static_cast<std::uint64_t>(statement->integer(4))});
  }
  if (!row) return row.error();
  return objects;
}

net::Result<void> put_objects(Database& database, const std::vector<StoredObject>& objects) {
  auto statement = database.prepare(
      "INSERT INTO objects (kind, namespace, name, json, created_unix_ms) VALUES (?1, ?2, ?3, ?4, ?5) "
      "ON CONFLICT (kind, namespace, name) DO UPDATE SET json = excluded.json");
  if (!statement) return statement.error();
  for (const StoredObject& object : objects) {
    statement->reset();
    statement->bind(1, kube::names_of(object.key.kind).name)
        .bind(2, object.key.name_space)
        .bind(3, object.key.name)
        .bind(4, object.json)
        .bind(5, static_cast<std::int64_t>(object.created_unix_ms));
    if (auto run = statement->run(); !run) return run;
  }
  return {};
}

net::Result<void> erase_objects(Database& database, const std::vector<kube::ObjectKey>& keys) {
  auto statement = database.prepare("DELETE FROM objects WHERE kind = ?1 AND namespace = ?2 AND name = ?3");
  if (!statement) return statement.error();
  for (const kube::ObjectKey& key : keys) {
    statement->reset();
    statement->bind(1, kube::names_of(key.kind).name).bind(2, key.name_space).bind(3, key.name);
    if (auto run = statement->run(); !run) return run;
  }
  return {};
}

}  // namespace millrace::control::agent
