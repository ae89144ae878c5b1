#include "perf/gen/stream/key_reader.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace millrace::perf::gen {

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> scaled_number(std::string_view text, std::string_view& rest) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  rest = text.substr(static_cast<std::size_t>(end - text.data()));
  if (rest.empty()) return value;
  const double scale = rest[0] == 'k' ? 1e3 : rest[0] == 'M' ? 1e6 : rest[0] == 'G' ? 1e9 : 0;
  if (scale == 0) return value;
  rest.remove_prefix(1);
  return value * scale;
}

KeyReader::KeyReader(const YAML::Node& mapping, std::string path) : mapping_(mapping), path_(std::move(path)) {
  if (!mapping_.IsMap())
    fail(net::invalid_argument(fmt::format("{}: a mapping is expected", path_.empty() ? "profile" : path_)));
}

std::string KeyReader::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void KeyReader::fail(net::Error error) {
  if (!error_) error_ = std::move(error);
}

void KeyReader::refuse(std::string_view key, std::string_view value, std::string_view message) {
  fail(net::invalid_argument(fmt::format("{} {}: {}", path_of(key), value, message)));
}

bool KeyReader::has(const char* key) const { return mapping_.IsMap() && mapping_[key].IsDefined(); }

YAML::Node KeyReader::node(const char* key) {
  known_.insert(key);
  if (!ok() || !mapping_[key]) return YAML::Node(YAML::NodeType::Undefined);
  return mapping_[key];
}

std::optional<std::string> KeyReader::text(const char* key) {
  const YAML::Node found = node(key);
  if (!found.IsDefined()) return std::nullopt;
  if (found.IsScalar()) return found.Scalar();
  fail(net::invalid_argument(fmt::format("{}: one value is expected", path_of(key))));
  return std::nullopt;
}

std::optional<std::uint64_t> KeyReader::whole(const char* key, std::uint64_t least, std::uint64_t most) {
  const auto given = text(key);
  if (!given) return std::nullopt;
  const auto value = whole_number(*given);
  if (value && *value >= least && *value <= most) return value;
  refuse(key, *given, fmt::format("{} to {}", least, most));
  return std::nullopt;
}

void KeyReader::real(const char* key, double& target, double least, double most) {
  const auto given = text(key);
  if (!given) return;
  std::string_view rest;
  const auto value = scaled_number(*given, rest);
  if (value && rest.empty() && *value >= least && *value <= most) {
    target = *value;
  } else {
    refuse(key, *given, fmt::format("{} to {}", least, most));
  }
}

void KeyReader::mac(const char* key, net::Mac& target) {
  const auto given = text(key);
  if (!given) return;
  if (const auto value = net::Mac::parse(*given)) {
    target = *value;
  } else {
    refuse(key, *given, "a MAC address, 02:00:00:00:00:01");
  }
}

void KeyReader::address(const char* key, net::IpAddress& target) {
  const auto given = text(key);
  if (!given) return;
  if (const auto value = net::IpAddress::parse(*given)) {
    target = *value;
  } else {
    refuse(key, *given, "an IPv4 or IPv6 address");
  }
}

net::Result<void> KeyReader::finish() const {
  if (error_) return *error_;
  std::set<std::string> seen;
  for (const auto& entry : mapping_) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "?";
    if (!known_.contains(key)) return net::invalid_argument(fmt::format("{}: there is no such key", path_of(key)));
    if (!seen.insert(key).second) return net::invalid_argument(fmt::format("{}: named twice", path_of(key)));
  }
  return {};
}

}  // namespace millrace::perf::gen
