/// The environment a runtime starts the plugin with.
///
/// Shape:   which variables a command needs is the table in the CNI specification; `required_variables` is that table.
/// Errors:  CniCode::kInvalidEnvironment; the message names every variable that is missing, or the one that is wrong.
/// Source:  CNI specification 1.1.0, section 2 "Execution Protocol"; libcni pkg/skel, pkg/utils.
/// Thread:  plain values, any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cni-shim/cni_error.h"

namespace millrace::cni_shim {

enum class Command { kAdd, kDel, kCheck, kGc, kStatus, kVersion };

std::string_view text_of(Command command) noexcept;

struct Environment {
  Command command = Command::kVersion;
  std::string container_id;
  std::string netns;  // absolute path; may be empty for DEL
  std::string ifname;
  std::string path;  // CNI_PATH: directories, colon between
  std::string args;  // CNI_ARGS, not yet parsed
};

inline constexpr std::size_t kMaxVariableBytes = 16384;
inline constexpr std::size_t kMaxNameBytes = 253;
inline constexpr std::size_t kMaxIfnameBytes = 15;  // IFNAMSIZ - 1

using VariableLookup = std::function<std::optional<std::string_view>(std::string_view name)>;

/// VERSION reads nothing but CNI_COMMAND: the version probe of runtimes puts "dummy" or nothing into the others.
CniResult<Environment> parse_environment(const VariableLookup& lookup);

/// ^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$ and at most kMaxNameBytes: container ids and network names.
bool is_cni_name(std::string_view text) noexcept;

}  // namespace millrace::cni_shim
