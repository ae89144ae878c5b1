/// What a person who wrote an unknown key likely meant.
///
/// Thread:  pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace millrace::control::config {

/// Edits (insert, delete or replace one byte) from `a` to `b`.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// Full path of the key or section nearest to `name` in `section`: a near name beside it, else the same name elsewhere
/// in the file; "" when nothing is near (over a third of the name differs).
std::string nearest_key(std::string_view section, std::string_view name);

}  // namespace millrace::control::config
