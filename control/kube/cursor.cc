#include "control/kube/cursor.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "control/config/suggest.h"
#include "control/config/values.h"

namespace millrace::control::kube {
namespace {

using config::shown;

constexpr std::size_t kNameLimit = 64;  // a longer name is no misspelling of a shorter one

/// What a value is instead of what was wanted.
std::string kind_of_value(const Value& value) {
  switch (value.type) {
    case Value::Type::kNull: return "is empty";
    case Value::Type::kBoolean: return fmt::format("{} is a boolean", value.text);
    case Value::Type::kInteger:
    case Value::Type::kNumber: return fmt::format("{} is a number", value.text.substr(0, kNameLimit));
    case Value::Type::kText: return fmt::format("{} is text", shown(value.text));
    case Value::Type::kList: return "is a list";
    case Value::Type::kMap: break;
  }
  return "is a map";
}

/// A name of the manifest as an error shows it: without the quotes of shown().
std::string plain(std::string_view text) {
  const std::string quoted = shown(text);
  return quoted.substr(1, quoted.size() - 2);
}

std::string nearest(std::string_view name, const std::vector<std::string_view>& names, Names others) {
  std::string best;
  if (name.size() > kNameLimit) return best;
  // Two letters in the wrong order are two edits.
  std::size_t best_distance = std::max<std::size_t>(name.size() < 4 ? 1 : 2, name.size() / 3) + 1;
  const auto look = [&](std::string_view candidate) {
    const std::size_t distance = config::edit_distance(name, candidate);
    if (distance >= best_distance) return;
    best = candidate;
    best_distance = distance;
  };
  std::ranges::for_each(names, look);
  std::ranges::for_each(others, look);
  return best;
}

}  // namespace

void Issues::add(int line, std::string_view path, std::string_view wrong, std::string_view allowed) {
  if (++count_ > kIssueLimit) return;
  std::string text;
  if (line > 0) text = fmt::format("{}:{}: ", file_, line);
  if (!path.empty()) text += fmt::format("{}: ", path);
  text += wrong;
  if (!allowed.empty()) text += fmt::format("; allowed: {}", allowed);
  lines_.push_back(std::move(text));
}

std::string Issues::to_string() const {
  std::string all;
  for (const std::string& line : lines_) all += (all.empty() ? "" : "\n") + line;
  if (count_ > lines_.size()) all += fmt::format("\nand {} errors more", count_ - lines_.size());
  return all;
}

std::string Cursor::path() const {
  if (parent_ == nullptr) return "";
  std::string path = parent_->path();
  if (key_.data() == nullptr) return fmt::format("{}[{}]", path, index_);
  // A key with a dot in it is a label's; brackets keep it apart from a way of two steps.
  if (key_.find('.') != std::string_view::npos) return fmt::format("{}[{}]", path, plain(key_));
  return path.empty() ? plain(key_) : fmt::format("{}.{}", path, plain(key_));
}

void Cursor::fail(std::string_view wrong, std::string_view allowed) const {
  issues_->add(value.line, path(), wrong, allowed);
}

void Cursor::fail_at(std::string_view field, std::string_view wrong, std::string_view allowed) const {
  const Value* there = value.find(field);
  fail_at_line(field, there != nullptr ? there->line : value.line, wrong, allowed);
}

void Cursor::fail_at_line(std::string_view field, int line, std::string_view wrong, std::string_view allowed) const {
  const std::string here = path();
  issues_->add(line, here.empty() ? std::string(field) : fmt::format("{}.{}", here, field), wrong, allowed);
}

bool Cursor::want(Value::Type type, std::string_view wanted, std::string_view allowed) const {
  if (value.type == type) return true;
  const std::string is = kind_of_value(value);
  const bool is_scalar =
      value.type == Value::Type::kBoolean || value.type == Value::Type::kInteger || value.type == Value::Type::kNumber;
  const bool quotes = type == Value::Type::kText && is_scalar;
  fail(fmt::format("{}, not {}{}", is, wanted, quotes ? ": put it in quotes" : ""), allowed);
  return false;
}

void read_text(const Cursor& at, std::string& out) {
  if (at.want(Value::Type::kText, "text")) out = at.value.text;
}

void read_boolean(const Cursor& at, bool& out) {
  if (at.want(Value::Type::kBoolean, "true or false")) out = at.value.boolean;
}

void read_integer(const Cursor& at, std::int64_t least, std::int64_t most, std::int64_t& out) {
  const std::string allowed = fmt::format("{}..{}", least, most);
  if (!at.want(Value::Type::kInteger, "an integer", allowed)) return;
  if (at.value.integer < least || at.value.integer > most) {
    return at.fail(fmt::format("{}", at.value.integer), allowed);
  }
  out = at.value.integer;
}

void read_port(const Cursor& at, std::uint16_t& out) {
  std::int64_t port = out;
  read_integer(at, 1, 65535, port);
  out = static_cast<std::uint16_t>(port);
}

void read_choice(const Cursor& at, Names names, std::size_t& out) {
  const std::string allowed = config::joined({names.begin(), names.end()}, ", ");
  if (!at.want(Value::Type::kText, "text", allowed)) return;
  const auto found = std::ranges::find(names, at.value.text);
  if (found == names.end()) return at.fail(shown(at.value.text), allowed);
  out = static_cast<std::size_t>(found - names.begin());
}

void read_address(const Cursor& at, net::IpAddress& out) {
  if (!at.want(Value::Type::kText, "an IP address")) return;
  const auto address = net::IpAddress::parse(at.value.text);
  if (!address) return at.fail(shown(at.value.text), "an IPv4 or IPv6 address");
  out = *address;
}

void read_prefix(const Cursor& at, net::Prefix& out) {
  if (!at.want(Value::Type::kText, "a prefix")) return;
  const std::string& text = at.value.text;
  const std::size_t slash = text.find('/');
  const auto address = net::IpAddress::parse(std::string_view(text).substr(0, slash));
  unsigned length = 0;
  const char* const last = text.data() + text.size();
  const char* const first = slash == std::string::npos ? last : text.data() + slash + 1;
  const auto [end, error] = std::from_chars(first, last, length);
  if (!address || error != std::errc{} || end != last || length > address->bits()) {
    return at.fail(shown(text), "an IPv4 or IPv6 prefix, ADDRESS/LENGTH");
  }
  out = net::Prefix::of(*address, static_cast<std::uint8_t>(length));
}

void fail_unknown(const Cursor& map, std::string_view key, int line, std::vector<std::string_view> names,
                  Names others) {
  const std::string meant = nearest(key, names, others);
  std::string allowed;
  if (meant.empty()) {
    names.insert(names.end(), others.begin(), others.end());
    allowed = config::joined(names, ", ");
  }
  const std::string wrong = meant.empty() ? "unknown field" : fmt::format("unknown field, is {} meant?", meant);
  map.fail_at_line(plain(key), line, wrong, allowed);
}

}  // namespace millrace::control::kube
