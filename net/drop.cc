#include "net/drop.h"

#include <array>

namespace millrace::net {
namespace {

struct Entry {
  std::string_view name;
  std::string_view text;
};

constexpr std::array<Entry, kDropCount> kEntries{{
    {"none", "not dropped"},
#define MILLRACE_DROP(name, metric, text) {metric, text},
#include "net/drop.def"
#undef MILLRACE_DROP
}};

constexpr Entry kUnknown{"unknown", "not a drop reason"};

constexpr const Entry& entry(Drop drop) noexcept {
  const auto index = static_cast<std::size_t>(drop);
  return index < kEntries.size() ? kEntries[index] : kUnknown;
}

}  // namespace

std::string_view drop_name(Drop drop) noexcept { return entry(drop).name; }
std::string_view drop_text(Drop drop) noexcept { return entry(drop).text; }

}  // namespace millrace::net
