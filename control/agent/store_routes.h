/// The routes of an attachment, as rows. The caller holds the store's mutex; insert_routes() wants an open transaction.
///
/// Theory, errors: store.h. They go with their attachment's row.
#pragma once

#include <cstdint>
#include <vector>

#include "control/agent/model.h"
#include "control/agent/sqlite.h"
#include "net/result.h"

namespace millrace::control::agent {

net::Result<void> insert_routes(Database& database, std::int64_t attachment, const std::vector<ExtraRoute>& routes);
net::Result<std::vector<ExtraRoute>> routes_of(Database& database, std::int64_t attachment);

}  // namespace millrace::control::agent
