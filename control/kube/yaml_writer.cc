// Canonical JSON -> YAML in kubectl's style.
#include <fmt/format.h>

#include "control/kube/manifest.h"

namespace millrace::control::kube {
namespace {

using Json = nlohmann::json;

bool is_plain_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._/-+@%=,()").find(c) != std::string_view::npos;
}

/// Whether text can stand without quotes and still is that text to every YAML reader.
bool is_plain(const std::string& text) {
  if (text.empty() || plain_scalar(text, 0).type != Value::Type::kText) return false;
  const char first = text[0];
  if (!((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '/')) {
    // An address or a prefix with a digit first is plain when it cannot be a number of any kind.
    const bool is_address = first >= '0' && first <= '9' && text.find('.') != text.rfind('.');
    if (!is_address) return false;
  }
  if (text == "y" || text == "Y" || text == "n" || text == "N") return false;
  for (const char c : text) {
    if (!is_plain_character(c)) return false;
  }
  return true;
}

std::string scalar(const Json& json) {
  if (json.is_string() && is_plain(json.get_ref<const std::string&>())) return json.get<std::string>();
  // A JSON text is a YAML scalar in double quotes (YAML 1.2.2 section 1.3).
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void write(const Json& json, std::size_t indent, bool in_list, std::string& out);

void write_value(const Json& value, std::size_t indent, bool of_map, std::string& out) {
  if (value.is_structured() && !value.empty()) {
    if (of_map) out += "\n";
    // kubectl does not indent a list below its key.
    return write(value, of_map && value.is_object() ? indent + 2 : indent, !of_map, out);
  }
  if (of_map) out += " ";
  out += value.is_structured() ? (value.is_array() ? "[]" : "{}") : scalar(value);
  out += "\n";
}

/// `in_list`: the first line stands behind "- ".
void write(const Json& json, std::size_t indent, bool in_list, std::string& out) {
  bool is_first = in_list;
  if (json.is_object()) {
    for (const auto& [key, value] : json.items()) {
      if (!is_first) out.append(indent, ' ');
      is_first = false;
      out += scalar(key) + ":";
      write_value(value, indent, true, out);
    }
    return;
  }
  for (const Json& value : json) {
    if (!is_first) out.append(indent, ' ');
    is_first = false;
    out += "- ";
    write_value(value, indent + 2, false, out);
  }
}

}  // namespace

std::string to_yaml(const Json& json) {
  std::string out;
  if (!json.is_structured() || json.empty()) return scalar(json) + "\n";
  write(json, 0, false, out);
  return out;
}

}  // namespace millrace::control::kube
