/// JSON with limits: a network configuration comes from outside and must not exhaust stack or memory.
///
/// Shape:   text at most kMaxJsonBytes, nested at most kMaxJsonDepth deep (nlohmann's own parser keeps its stack on the
///          heap, but its copy and dump recurse).
/// Errors:  CniCode::kDecodeFailure with the byte offset.
/// Thread:  plain values, any thread.
/// Keys are matched without case, as Go's encoding/json does: containerd 1.6 writes "HostPort" and "Servers".
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "cni-shim/cni_error.h"

namespace millrace::cni_shim {

using Json = nlohmann::json;

inline constexpr std::size_t kMaxJsonBytes = std::size_t{1} << 20;
inline constexpr int kMaxJsonDepth = 64;

/// `what` names the text in the error ("stdin", "the result of IPAM plugin \"host-local\"").
CniResult<Json> parse_json(std::string_view text, std::string_view what);

/// The member of `object` whose key is `key`, exactly or else in another case; nullptr when there is none, when it is
/// null (Go writes null for an empty slice or map), or when `object` is no object.
const Json* find_member(const Json& object, std::string_view key);
Json* find_member(Json& object, std::string_view key);

/// The member as a string; nullptr when there is none or when it is no string.
const std::string* find_string(const Json& object, std::string_view key);

/// Compact, one line, newline at the end; bytes that are not UTF-8 become U+FFFD.
std::string to_line(const Json& value);

}  // namespace millrace::cni_shim
