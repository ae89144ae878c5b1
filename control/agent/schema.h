/// The database's tables and the steps that lead there from every earlier version.
///
/// Shape:   PRAGMA user_version counts the migrations that were made; each is one transaction, so a crash leaves the
///          version before it or after it.
/// Errors:  kFailedPrecondition for a database of a later version of Millrace or one that is damaged (the file is left
///          as it is).
/// Thread:  at start, before the database is shared.
#pragma once

#include "control/agent/sqlite.h"
#include "net/result.h"

namespace millrace::control::agent {

/// Refuses a damaged database and one of a later version. Only reads.
net::Result<void> check(Database& database);
/// Brings the database to version `target`, at most schema_version(): that of this program.
net::Result<void> migrate(Database& database, int target);
/// The version this program works with.
int schema_version();

}  // namespace millrace::control::agent
