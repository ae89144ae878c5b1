/// Ranges of keys: etcd knows [key, end) in the order of bytes; we ask for prefixes.
#pragma once

#include <string>
#include <string_view>

namespace millrace::control::etcd {

/// The end of the keys that begin with `prefix`: "a" -> "b", "a\xff" -> "b"; "\0", to etcd "no end", when there is
/// none.
inline std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (end.empty()) return std::string(1, '\0');
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

/// The first key of a prefix; etcd takes no empty key.
inline std::string prefix_start(std::string_view prefix) {
  return prefix.empty() ? std::string(1, '\0') : std::string(prefix);
}

/// The least key above `key`.
inline std::string next_key(std::string key) {
  key.push_back('\0');
  return key;
}

}  // namespace millrace::control::etcd
