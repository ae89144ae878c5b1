/// IPv4 options: a bounds-checked walk.
///
/// Shape:   `options` are the bytes between the 20-byte header and its end. One-byte options (end of list, no
///          operation) have a span of 1, the others include their type and length bytes.
/// Errors:  next() answers false at the end and when an option does not fit; is_malformed() tells which.
/// Thread:  plain value, any thread.
/// Source:  RFC 791 section 3.1 (options, page 15), RFC 7126.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace millrace::net {

class Ipv4Options {
 public:
  static constexpr std::uint8_t kEnd = 0, kNoOperation = 1, kLooseSourceRoute = 131, kStrictSourceRoute = 137;
  /// Set in the type of options that every fragment carries.
  static constexpr std::uint8_t kCopied = 0x80;

  explicit Ipv4Options(std::span<const std::uint8_t> options) noexcept : left_(options) {}

  /// Moves to the next option. Padding behind the end of the list is not looked at.
  bool next() noexcept {
    if (left_.empty() || left_[0] == kEnd) return false;
    std::size_t size = 1;
    if (left_[0] != kNoOperation) {
      size = left_.size() < 2 ? 0 : left_[1];
      if (size < 2 || size > left_.size()) {
        malformed_ = true;
        return false;
      }
    }
    option_ = left_.first(size);
    left_ = left_.subspan(size);
    return true;
  }

  /// The option next() moved to.
  std::span<const std::uint8_t> option() const noexcept { return option_; }
  std::uint8_t type() const noexcept { return option_[0]; }
  bool is_malformed() const noexcept { return malformed_; }

 private:
  std::span<const std::uint8_t> left_;
  std::span<const std::uint8_t> option_;
  bool malformed_ = false;
};

}  // namespace millrace::net
