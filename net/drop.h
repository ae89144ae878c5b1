/// Drop: why a packet ends here. One list (drop.def) makes the enum, the metric and the text.
///
/// Thread:  constants, any thread. kNone is "not dropped" and is never counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace millrace::net {

enum class Drop : std::uint8_t {
  kNone = 0,
#define MILLRACE_DROP(name, metric, text) k##name,
#include "net/drop.def"
#undef MILLRACE_DROP
};

/// Number of values, kNone included: the length of an array indexed by Drop.
inline constexpr std::size_t kDropCount =
    std::initializer_list<Drop>{
        Drop::kNone,
#define MILLRACE_DROP(name, metric, text) Drop::k##name,
#include "net/drop.def"
#undef MILLRACE_DROP
    }
        .size();

/// Whether parse() says it: the headers are then not to be trusted. The parser's are the first of the list.
constexpr bool is_parser_drop(Drop drop) noexcept { return drop != Drop::kNone && drop <= Drop::kArpBad; }

/// "none", or the metric name of drop.def.
std::string_view drop_name(Drop drop) noexcept;
/// The sentence of drop.def.
std::string_view drop_text(Drop drop) noexcept;

}  // namespace millrace::net
