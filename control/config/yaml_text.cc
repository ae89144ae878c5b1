#include "control/config/yaml_text.h"

#include <algorithm>

namespace millrace::control::config {

int control_character_line(std::string_view text) {
  int line = 1;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == '\n') ++line;
    if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f) return line;
  }
  return 0;
}

bool is_indented_by_tab(std::string_view text, int line) {
  for (; line > 1 && !text.empty(); --line) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  const std::size_t content = text.find_first_not_of(" \t");
  return text.substr(0, content).find('\t') != std::string_view::npos;
}

}  // namespace millrace::control::config
