/// The keys of a prefix at one revision, and what a step to another revision changes.
///
/// Theory:  a step is either the events of one revision, in etcd's order, or a whole reading. Both become the same
///          thing: the changes between two states, each key once. Batches applied one after the other to nothing give
///          the state.
/// Checked: an event is taken as it stands; one of a key outside the prefix is not taken.
/// Thread:  none of its own.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/etcd/mirror.h"

namespace millrace::control::etcd {

/// One event of a watch; without `after` the key was deleted.
struct KeyEvent {
  std::string key;
  std::int64_t revision = 0;
  std::optional<KeyValue> after;
};

class KeyTable {
 public:
  explicit KeyTable(std::string prefix) : prefix_(std::move(prefix)) {}

  std::vector<Change> apply(std::span<const KeyEvent> events);
  std::vector<Change> replace(std::vector<KeyValue> items);

  std::optional<KeyValue> find(const std::string& key) const;
  std::vector<KeyValue> list(const std::string& prefix) const;
  std::size_t size() const { return items_.size(); }

 private:
  std::string prefix_;
  std::map<std::string, KeyValue> items_;
};

}  // namespace millrace::control::etcd
