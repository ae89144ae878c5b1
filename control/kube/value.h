/// A value of a manifest with the line it stands in: what YAML and JSON become before they have a meaning.
///
/// Shape:   a tree. Plain scalars have the type that Kubernetes' reader gives them: YAML 1.2's JSON schema, and the
///          words of YAML 1.1 for booleans (yes, no, on, off). A quoted scalar is text. Lines count from 1; 0: unknown.
/// Thread:  plain values, any thread.
/// Source:  YAML 1.2.2 section 10.2; sigs.k8s.io/yaml, which reads YAML 1.1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace millrace::control::kube {

struct Value {
  enum class Type : std::uint8_t { kNull, kBoolean, kInteger, kNumber, kText, kList, kMap };
  struct Entry;

  Type type = Type::kNull;
  bool boolean = false;
  int line = 0;
  std::int64_t integer = 0;
  std::string text;            // of a scalar, as it was written
  std::vector<Entry> entries;  // of a list and of a map

  bool is_null() const { return type == Type::kNull; }
  bool is_map() const { return type == Type::kMap; }
  /// nullptr when the map has no such key or the value is null.
  const Value* find(std::string_view key) const;
};

struct Value::Entry {
  std::string key;  // "" in a list
  Value value;
};

/// What a plain (unquoted) YAML scalar means.
Value plain_scalar(std::string_view text, int line);

Value from_json(const nlohmann::json& json);
/// Without what is null: to Kubernetes that is the same as absent, but for the value of a label, which is empty then.
nlohmann::json to_json(const Value& value);

}  // namespace millrace::control::kube
