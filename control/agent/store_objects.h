/// Rows of Kubernetes objects.
///
/// Shape:   canonical JSON (control/kube/manifest.h), one row an object.
/// Thread:  within a Store's transaction and lock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/agent/sqlite.h"
#include "control/kube/object.h"
#include "net/result.h"

namespace millrace::control::agent {

struct StoredObject {
  kube::ObjectKey key;
  std::string json;
  std::uint64_t created_unix_ms = 0;
  friend bool operator==(const StoredObject&, const StoredObject&) = default;
};

net::Result<std::vector<StoredObject>> read_objects(Database& database);
net::Result<void> put_objects(Database& database, const std::vector<StoredObject>& objects);
net::Result<void> erase_objects(Database& database, const std::vector<kube::ObjectKey>& keys);

}  // namespace millrace::control::agent
