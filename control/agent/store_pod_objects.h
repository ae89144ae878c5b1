/// Pod objects in their tables. The caller holds the store's mutex; writing also an open transaction.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "control/agent/model.h"
#include "control/agent/sqlite.h"
#include "net/result.h"

namespace millrace::control::agent {

/// Success when there is none. Labels and ports go with it.
net::Result<void> erase_pod_object(Database& database, const std::string& pod_namespace, const std::string& name);
net::Result<void> insert_pod_object(Database& database, const PodObject& object);
/// By (namespace, name).
net::Result<std::map<std::pair<std::string, std::string>, PodObject>> read_pod_objects(Database& database);

}  // namespace millrace::control::agent
