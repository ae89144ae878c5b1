/// What is wrong with a text that cannot be YAML, in words yaml-cpp does not have.
///
/// Thread:  pure functions.
/// Source:  YAML 1.2.2 sections 5.1 (character set) and 6.1 (indentation).
#pragma once

#include <string>
#include <string_view>

namespace millrace::control::config {

/// First line that holds a byte YAML does not allow, 0 when there is none.
int control_character_line(std::string_view text);
/// First line that holds bytes that are not UTF-8 (RFC 3629), 0 when there is none.
int bad_utf8_line(std::string_view text);
/// The commonest way to write what is not YAML.
bool is_indented_by_tab(std::string_view text, int line);
/// What yaml-cpp says, with '?' for bytes that are no printable ASCII: it names a character by its first byte, and the end of
/// the text by 0x04.
std::string printable(std::string message);

}  // namespace millrace::control::config
