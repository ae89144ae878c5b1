#include "control/kube/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

namespace millrace::control::kube {
namespace {

constexpr std::array<std::string_view, 5> kNulls = {"", "~", "null", "Null", "NULL"};
constexpr std::array<std::string_view, 9> kTrue = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"};
constexpr std::array<std::string_view, 9> kFalse = {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"};

bool is_one_of(const auto& words, std::string_view text) { return std::ranges::find(words, text) != words.end(); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// [-+]? digits [. digits] [e digits], with a digit among them.
bool is_number(std::string_view text) {
  const auto skip_sign = [&] {
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  };
  const auto skip_digits = [&] {
    const std::size_t count = std::min(text.size(), text.find_first_not_of("0123456789"));
    text.remove_prefix(count);
    return count;
  };
  skip_sign();
  std::size_t digits = skip_digits();
  if (!text.empty() && text[0] == '.') {
    text.remove_prefix(1);
    digits += skip_digits();
  }
  if (digits == 0) return false;
  if (text.empty()) return true;
  if (text[0] != 'e' && text[0] != 'E') return false;
  text.remove_prefix(1);
  skip_sign();
  return skip_digits() > 0 && text.empty();
}

bool is_other_base(std::string_view text) {
  if (!text.starts_with("0x") && !text.starts_with("0o") && !text.starts_with("0b")) return false;
  return text.size() > 2 && text.find_first_not_of("0123456789abcdefABCDEF", 2) == std::string_view::npos;
}

/// Decimal, without zeros before it: "010" is 8 to YAML 1.1 and 10 to YAML 1.2, so it is no integer here.
bool to_integer(std::string_view text, std::int64_t& out) {
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.empty() || !std::ranges::all_of(digits, is_digit) || (digits.size() > 1 && digits[0] == '0')) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

/// Of a map: its values are those of labels.
bool has_label_values(std::string_view key) { return key == "labels" || key == "matchLabels"; }

}  // namespace

const Value* Value::find(std::string_view key) const {
  if (type != Type::kMap) return nullptr;
  const auto found = std::ranges::find(entries, key, &Entry::key);
  return found == entries.end() || found->value.is_null() ? nullptr : &found->value;
}

Value plain_scalar(std::string_view text, int line) {
  Value value;
  value.line = line;
  value.text = text;
  if (is_one_of(kNulls, text)) return value;
  if (is_one_of(kTrue, text) || is_one_of(kFalse, text)) {
    value.type = Value::Type::kBoolean;
    value.boolean = is_one_of(kTrue, text);
  } else if (to_integer(text, value.integer)) {
    value.type = Value::Type::kInteger;
  } else {
    value.type = is_number(text) || is_other_base(text) ? Value::Type::kNumber : Value::Type::kText;
  }
  return value;
}

Value from_json(const nlohmann::json& json) {
  Value value;
  switch (json.type()) {
    case nlohmann::json::value_t::boolean:
      value.type = Value::Type::kBoolean;
      value.boolean = json.get<bool>();
      value.text = json.dump();
      break;
    case nlohmann::json::value_t::number_integer:
    case nlohmann::json::value_t::number_unsigned:
    case nlohmann::json::value_t::number_float:
      value.text = json.dump();
      value.type = to_integer(value.text, value.integer) ? Value::Type::kInteger : Value::Type::kNumber;
      break;
    case nlohmann::json::value_t::string:
      value.type = Value::Type::kText;
      value.text = json.get_ref<const std::string&>();
      break;
    case nlohmann::json::value_t::array:
      value.type = Value::Type::kList;
      for (const auto& entry : json) value.entries.push_back({"", from_json(entry)});
      break;
    case nlohmann::json::value_t::object:
      value.type = Value::Type::kMap;
      for (const auto& [key, entry] : json.items()) value.entries.push_back({key, from_json(entry)});
      break;
    default: break;
  }
  return value;
}

nlohmann::json to_json(const Value& value) {
  switch (value.type) {
    case Value::Type::kNull: return nullptr;
    case Value::Type::kBoolean: return value.boolean;
    case Value::Type::kInteger: return value.integer;
    case Value::Type::kNumber:
      return is_other_base(value.text) ? nlohmann::json(value.text)
                                       : nlohmann::json(std::strtod(value.text.c_str(), nullptr));
    case Value::Type::kText: return value.text;
    case Value::Type::kList: {
      nlohmann::json list = nlohmann::json::array();
      for (const Value::Entry& entry : value.entries) list.push_back(to_json(entry.value));
      return list;
    }
    case Value::Type::kMap: break;
  }
  nlohmann::json map = nlohmann::json::object();
  for (const Value::Entry& entry : value.entries) {
    if (entry.value.is_null()) continue;
    nlohmann::json& made = map[entry.key] = to_json(entry.value);
    if (!has_label_values(entry.key) || !entry.value.is_map()) continue;
    for (const Value::Entry& label : entry.value.entries) {
      if (label.value.is_null()) made[label.key] = "";
    }
  }
  return map;
}

}  // namespace millrace::control::kube
