/// A place in a manifest: a value, the way to it, and where what is wrong with it is written down.
///
/// Shape:   cursors live on the stack of the readers and point to the cursor of the value around theirs, so the path
///          "spec.ports[0].port" is only put together for an error. A Field is a name with the function that reads it;
///          a field without a function is known to Kubernetes and has no meaning for the network.
/// Errors:  "FILE:LINE: PATH: what is wrong; allowed: ...", without "FILE:LINE: " when the line is not known. Readers
///          go on after an error; Issues keeps the first kIssueLimit.
/// Thread:  one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/kube/metadata.h"
#include "control/kube/value.h"
#include "net/address.h"

namespace millrace::control::kube {

inline constexpr std::size_t kIssueLimit = 20;

class Issues {
 public:
  explicit Issues(std::string file) : file_(std::move(file)) {}
  void add(int line, std::string_view path, std::string_view wrong, std::string_view allowed);
  bool empty() const { return count_ == 0; }
  std::size_t count() const { return count_; }
  /// One a line; the last one says how many more there are.
  std::string to_string() const;

 private:
  std::string file_;
  std::vector<std::string> lines_;
  std::size_t count_ = 0;
};

class Cursor {
 public:
  Cursor(const Value& of, Issues& issues) : value(of), issues_(&issues) {}

  Cursor field(std::size_t index) const { return {value.entries[index].value, this, value.entries[index].key, 0}; }
  Cursor entry(std::size_t index) const { return {value.entries[index].value, this, {}, index}; }
  void fail(std::string_view wrong, std::string_view allowed = "") const;
  /// Of a field below that is not there, or of several together.
  void fail_at(std::string_view field, std::string_view wrong, std::string_view allowed = "") const;
  void fail_at_line(std::string_view field, int line, std::string_view wrong, std::string_view allowed) const;
  std::string path() const;
  const Issues& issues() const { return *issues_; }

  /// True if the value has the type; else it is written down that it has not. `wanted` with its article.
  bool want(Value::Type type, std::string_view wanted, std::string_view allowed = "") const;

  const Value& value;

 private:
  Cursor(const Value& of, const Cursor* parent, std::string_view key, std::size_t index)
      : value(of), issues_(parent->issues_), parent_(parent), key_(key), index_(index) {}

  Issues* issues_;
  const Cursor* parent_ = nullptr;
  std::string_view key_;
  std::size_t index_ = 0;
};

using Names = std::span<const std::string_view>;

// Single values. What is out of range or of another type is written down and leaves `out` as it was.
void read_text(const Cursor& at, std::string& out);
void read_boolean(const Cursor& at, bool& out);
void read_integer(const Cursor& at, std::int64_t least, std::int64_t most, std::int64_t& out);
void read_port(const Cursor& at, std::uint16_t& out);  // 1..65535
/// Index in `names`.
void read_choice(const Cursor& at, Names names, std::size_t& out);
void read_address(const Cursor& at, net::IpAddress& out);
/// A prefix; bits behind its length are cleared, as Kubernetes does.
void read_prefix(const Cursor& at, net::Prefix& out);
void read_labels(const Cursor& at, Labels& out);
void read_metadata(const Cursor& at, Kind kind, Metadata& out);

template <typename Enum>
void read_enum(const Cursor& at, Names names, Enum& out) {
  std::size_t index = static_cast<std::size_t>(out);
  read_choice(at, names, index);
  out = static_cast<Enum>(index);
}

/// Calls `read` with the cursor of each entry.
template <typename Read>
void read_list(const Cursor& at, std::size_t limit, Read read) {
  if (!at.want(Value::Type::kList, "a list")) return;
  if (at.value.entries.size() > limit) {
    return at.fail(std::to_string(at.value.entries.size()) + " entries", "at most " + std::to_string(limit));
  }
  for (std::size_t i = 0; i < at.value.entries.size(); ++i) read(at.entry(i));
}

template <typename T>
struct Field {
  std::string_view name;
  void (*read)(const Cursor&, T&);
};

/// Writes down a key that is neither in `names` nor in `others`.
void fail_unknown(const Cursor& map, std::string_view key, int line, std::vector<std::string_view> names, Names others);

/// Reads a map by the list of its fields. `others` are fields with no meaning for the network.
template <typename T, std::size_t N>
void read_fields(const Cursor& at, T& out, const Field<T> (&fields)[N], Names others = {}) {
  if (!at.want(Value::Type::kMap, "a map")) return;
  for (std::size_t i = 0; i < at.value.entries.size(); ++i) {
    const Value::Entry& entry = at.value.entries[i];
    const Field<T>* found = nullptr;
    for (const Field<T>& field : fields) {
      if (field.name == entry.key) found = &field;
    }
    if (found != nullptr) {
      if (!entry.value.is_null()) found->read(at.field(i), out);
      continue;
    }
    bool is_known = false;
    for (const std::string_view other : others) is_known = is_known || other == entry.key;
    if (is_known) continue;
    std::vector<std::string_view> names;
    for (const Field<T>& field : fields) names.push_back(field.name);
    fail_unknown(at, entry.key, entry.value.line, std::move(names), others);
  }
}

}  // namespace millrace::control::kube
