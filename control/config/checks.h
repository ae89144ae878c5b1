/// Rules between keys: what no single value can break alone.
///
/// Thread:  pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/config/config.h"

namespace millrace::control::config {

struct Violation {
  std::vector<std::string_view> keys;  // that take part; the first that is in the file is blamed
  std::string wrong;
  std::string allowed;
};

std::vector<Violation> check_rules(const Config& config);

}  // namespace millrace::control::config
