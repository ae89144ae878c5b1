/// A thin, typed skin over the SQLite C API: connection, prepared statement, transaction.
///
/// Shape:   parameters are numbered from 1 and columns from 0, as SQLite does it.
/// Errors:  SQLite's result codes become net::Error with SQLite's own sentence: full disk -> kResourceExhausted, busy
///          -> kUnavailable, a file that is no database or is damaged -> kFailedPrecondition, the rest -> kInternal.
/// Thread:  a Database and what is made from it belong to one thread at a time; the Store holds a mutex around it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace millrace::control::agent {

class Statement {
 public:
  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}

  /// A bind that fails (out of memory) is reported by the next step().
  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, std::string_view text);
  Statement& bind(int index, std::span<const std::uint8_t> blob);

  /// True: a row stands in the columns. False: done.
  net::Result<bool> step();
  /// step() of a statement that yields no row.
  net::Result<void> run();
  /// Makes the statement ready for new parameters.
  void reset();

  std::int64_t integer(int column) const;
  std::string text(int column) const;
  std::vector<std::uint8_t> blob(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
  int bind_error_ = 0;
};

class Database {
 public:
  /// Opens or creates the file and reads its header; writes nothing to a file that is there.
  static net::Result<Database> open(const std::string& path);
  /// WAL, synchronous=FULL (a commit that returned survives loss of power), foreign keys on.
  net::Result<void> make_durable();

  net::Result<Statement> prepare(std::string_view sql);
  /// Runs SQL without parameters or rows, several statements too.
  net::Result<void> execute(const std::string& sql);
  net::Result<std::int64_t> query_integer(std::string_view sql);
  std::int64_t last_insert_id() const;
  /// Rows changed by the last INSERT, UPDATE or DELETE.
  int changes() const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  std::unique_ptr<sqlite3, Close> handle_;
};

/// BEGIN IMMEDIATE .. COMMIT; rolls back unless commit() succeeded.
class Transaction {
 public:
  static net::Result<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept : database_(other.database_) { other.database_ = nullptr; }
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  net::Result<void> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;  // nullptr: committed or moved from
};

}  // namespace millrace::control::agent
