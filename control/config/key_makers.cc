#include "control/config/key_makers.h"

namespace millrace::control::config {

Key text(std::string_view path, std::string_view fallback, std::string allowed, std::string_view about,
         std::function<std::string(const YAML::Node&, Config&)> read) {
  return {path, "text", fallback, std::move(allowed), about, std::move(read)};
}

Key integer(std::string_view path, std::string_view fallback, Range range, std::string_view about,
            std::function<void(std::uint32_t, Config&)> store) {
  auto read = [range, store = std::move(store)](const YAML::Node& node, Config& config) {
    std::uint32_t value = 0;
    std::string wrong = read_integer(node, range, value);
    if (wrong.empty()) store(value, config);
    return wrong;
  };
  return {path, "integer", fallback, range.to_string(), about, std::move(read)};
}

Key choice(std::string_view path, std::string_view fallback, Names names, std::string_view about,
           std::function<void(std::size_t, Config&)> store) {
  std::string allowed = joined(names, " | ");
  auto read = [names = std::move(names), store = std::move(store)](const YAML::Node& node, Config& config) {
    std::size_t index = 0;
    std::string wrong = read_choice(node, names, index);
    if (wrong.empty()) store(index, config);
    return wrong;
  };
  return {path, "choice", fallback, std::move(allowed), about, std::move(read)};
}

}  // namespace millrace::control::config
