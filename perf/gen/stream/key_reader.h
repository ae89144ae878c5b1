/// KeyReader: the keys of one YAML mapping, each read once with its limits; the first thing wrong is kept as a
/// sentence.
///
/// Shape:   a key that is not there leaves its target as it is. finish() refuses keys that nobody asked for.
/// Errors:  kInvalidArgument "PATH.KEY VALUE: what is allowed".
/// Thread:  one. Allocates: control code.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "net/address.h"
#include "net/result.h"

namespace millrace::perf::gen {

class KeyReader {
 public:
  /// `path`: what errors begin with, such as "streams[2]"; empty for the top and for flags.
  KeyReader(const YAML::Node& mapping, std::string path);

  /// The scalar's text, nullopt when the key is not there or something was wrong before.
  std::optional<std::string> text(const char* key);
  /// The node, whatever it is; not defined when it is not there.
  YAML::Node node(const char* key);
  bool has(const char* key) const;

  template <typename Number>
  void number(const char* key, Number& target, std::uint64_t least, std::uint64_t most) {
    if (const auto value = whole(key, least, most)) target = static_cast<Number>(*value);
  }
  void real(const char* key, double& target, double least, double most);
  void mac(const char* key, net::Mac& target);
  void address(const char* key, net::IpAddress& target);

  /// Keeps "PATH.KEY VALUE: message" when nothing was wrong before.
  void refuse(std::string_view key, std::string_view value, std::string_view message);
  void fail(net::Error error);
  bool ok() const noexcept { return !error_; }
  net::Result<void> finish() const;

  std::string path_of(std::string_view key) const;

 private:
  std::optional<std::uint64_t> whole(const char* key, std::uint64_t least, std::uint64_t most);

  YAML::Node mapping_;
  std::string path_;
  std::set<std::string> known_;
  std::optional<net::Error> error_;
};

/// The whole of `text` as a decimal number.
std::optional<std::uint64_t> whole_number(std::string_view text);
/// A number with at most one of k, M, G behind it: 10, 1.5M. What follows is left in `rest`.
std::optional<double> scaled_number(std::string_view text, std::string_view& rest);

}  // namespace millrace::perf::gen
