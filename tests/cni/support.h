/// What the tests of the CNI plugin share: an environment as a table, a request from text, a directory of their own.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "cni-shim/json.h"
#include "cni-shim/request.h"

namespace millrace::cni_shim::testing {

using Variables = std::map<std::string, std::string, std::less<>>;

inline VariableLookup lookup_in(const Variables& variables) {
  return [&variables](std::string_view name) -> std::optional<std::string_view> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

/// What a runtime sets for `command`.
inline Variables runtime_variables(std::string_view command) {
  return {{"CNI_COMMAND", std::string(command)},
          {"CNI_CONTAINERID", "c1"},
          {"CNI_NETNS", "/run/netns/c1"},
          {"CNI_IFNAME", "eth0"},
          {"CNI_PATH", "/usr/lib/cni"}};
}

inline net::Result<Request, Refusal> parse(const Variables& variables, std::string_view stdin_text) {
  return parse_request(lookup_in(variables), stdin_text);
}

inline Json json_of(std::string_view text) {
  auto json = parse_json(text, "the test's text");
  EXPECT_TRUE(json.ok()) << (json ? "" : json.error().message);
  return json ? *std::move(json) : Json();
}

class TempDirectory {
 public:
  TempDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "millrace-cni-test.XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace millrace::cni_shim::testing
