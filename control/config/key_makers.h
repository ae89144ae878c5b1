/// Makers of keys: what a schema entry of one type looks like, so that each entry says only what is its own.
///
/// Shape:   the reader of the entry checks the value and stores it; the text of what is allowed is made of the limits.
/// Thread:  pure functions.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "control/config/schema.h"
#include "control/config/values.h"

namespace millrace::control::config {

using Names = std::vector<std::string_view>;

Key text(std::string_view path, std::string_view fallback, std::string allowed, std::string_view about,
         std::function<std::string(const YAML::Node&, Config&)> read);
Key integer(std::string_view path, std::string_view fallback, Range range, std::string_view about,
            std::function<void(std::uint32_t, Config&)> store);
/// `store` gets the index in `names`.
Key choice(std::string_view path, std::string_view fallback, Names names, std::string_view about,
           std::function<void(std::size_t, Config&)> store);

}  // namespace millrace::control::config
