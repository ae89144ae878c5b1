#include "control/etcd/key_table.h"

#include <utility>

namespace millrace::control::etcd {

std::vector<Change> KeyTable::apply(std::span<const KeyEvent> events) {
  std::map<std::string, Change> changed;  // a deletion and a put of one key within one revision are one change
  for (const KeyEvent& event : events) {
    if (!event.key.starts_with(prefix_)) continue;
    const auto known =
        changed.try_emplace(event.key, Change{.key = event.key, .before = find(event.key), .after = {}}).first;
    known->second.after = event.after;
  }
  std::vector<Change> changes;
  for (auto& [key, change] : changed) {
    if (change.before == change.after) continue;  // the deletion of what is not there
    if (change.after) {
      items_[key] = *change.after;
    } else {
      items_.erase(key);
    }
    changes.push_back(std::move(change));
  }
  return changes;
}

std::vector<Change> KeyTable::replace(std::vector<KeyValue> items) {
  std::map<std::string, KeyValue> next;
  for (KeyValue& item : items) {
    if (!item.key.starts_with(prefix_)) continue;
    std::string key = item.key;
    next.insert_or_assign(std::move(key), std::move(item));
  }
  std::vector<Change> changes;
  auto old = items_.begin();
  auto now = next.begin();
  while (old != items_.end() || now != next.end()) {
    if (now == next.end() || (old != items_.end() && old->first < now->first)) {
      changes.push_back({.key = old->first, .before = old->second, .after = {}});
      ++old;
    } else if (old == items_.end() || now->first < old->first) {
      changes.push_back({.key = now->first, .before = {}, .after = now->second});
      ++now;
    } else {
      if (old->second != now->second)
        changes.push_back({.key = old->first, .before = old->second, .after = now->second});
      ++old;
      ++now;
    }
  }
  items_ = std::move(next);
  return changes;
}

std::optional<KeyValue> KeyTable::find(const std::string& key) const {
  const auto found = items_.find(key);
  return found == items_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<KeyValue> KeyTable::list(const std::string& prefix) const {
  std::vector<KeyValue> found;
  for (auto item = items_.lower_bound(prefix); item != items_.end() && item->first.starts_with(prefix); ++item) {
    found.push_back(item->second);
  }
  return found;
}

}  // namespace millrace::control::etcd
