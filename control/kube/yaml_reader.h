/// YAML (and JSON, which is YAML) -> values with their lines.
///
/// Shape:   one Value a document that is not empty.
/// Limits:  kManifestLimitBytes of text, kDepthLimit of nesting, kValueLimit of values, aliases counted as often as
///          they are used: a few lines of aliases to aliases cannot fill the memory.
/// Errors:  kInvalidArgument "FILE:LINE: what is wrong; allowed: ...". A key that is there twice is one.
/// Thread:  pure function.
/// Source:  YAML 1.2.2.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "control/kube/value.h"
#include "net/result.h"

namespace millrace::control::kube {

inline constexpr std::size_t kManifestLimitBytes = 64 << 20;
inline constexpr std::size_t kDepthLimit = 64;
inline constexpr std::size_t kValueLimit = 8'000'000;

net::Result<std::vector<Value>> read_yaml(const std::string& text, const std::string& file);

}  // namespace millrace::control::kube
