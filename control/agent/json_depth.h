/// How deeply JSON that somebody else wrote is nested: it may be as deep as it is long, objects are not, and readers
/// are recursive.
///
/// Thread:  pure function.
#pragma once

#include <string_view>

namespace millrace::control::agent {

/// More than 64 levels.
inline bool is_too_deep(std::string_view text) {
  constexpr int kDepthLimit = 64;
  int depth = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_text) {
      if (c == '\\') ++i;
      if (c == '"') in_text = false;
    } else if (c == '"') {
      in_text = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kDepthLimit) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace millrace::control::agent
