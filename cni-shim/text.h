/// Text from outside: the environment, stdin and the agent's messages, none of which may be trusted.
///
/// Thread:  pure functions, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace::cni_shim {

/// True for well-formed UTF-8 without control characters (U+0000..U+001F, U+007F). protobuf refuses other strings.
/// Source: RFC 3629 section 4 (no overlong form, no surrogate, at most U+10FFFF).
bool is_plain_utf8(std::string_view text) noexcept;

/// `text` for an error message: in double quotes, at most kMaxQuotedBytes of it, unprintable bytes as \xHH.
inline constexpr std::size_t kMaxQuotedBytes = 96;
std::string shown(std::string_view text);

/// ASCII only, as JSON keys of the CNI are.
bool equal_without_case(std::string_view a, std::string_view b) noexcept;

/// Pieces between separators; empty ones are kept. An empty text is one empty piece.
std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace millrace::cni_shim
