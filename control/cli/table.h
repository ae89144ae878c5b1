/// Table: rows of text in aligned columns, as a person reads a list.
///
/// Shape:   columns of numbers are aligned right, others left; two spaces between; no trailing spaces. Width counts
///          bytes: what is shown is ASCII.
/// Thread:  plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace millrace::control::cli {

class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// As many cells as columns. An empty cell is shown as "-".
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  std::string to_string() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// The two largest units: "3d 4h", "2h 5m", "1m 12s", "12s", "350ms".
std::string duration_text(std::uint64_t milliseconds);

}  // namespace millrace::control::cli
