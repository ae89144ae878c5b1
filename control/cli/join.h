/// Words in a row, with something between them.
///
/// Thread:  pure function.
#pragma once

#include <string>
#include <string_view>

namespace millrace::control::cli {

/// `words`: a range of strings.
template <typename Words>
std::string join(const Words& words, std::string_view between = ", ") {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += between;
    text += word;
  }
  return text;
}

}  // namespace millrace::control::cli
