/// Delegation to an IPAM plugin: `host-local`, `static` or any other that stands in CNI_PATH.
///
/// Shape:   the plugin gets our environment and our whole stdin. CNI_COMMAND is ours too, but for the DEL that rolls an
///          ADD back.
/// Errors:  the plugin's own error with its code; kInvalidEnvironment when CNI_PATH has no such plugin; kIoFailure.
/// Source:  CNI specification 1.1.0, section 4 "Plugin Delegation".
/// Thread:  any thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "cni-shim/environment.h"
#include "cni-shim/ipam_result.h"

namespace millrace::cni_shim {

inline constexpr std::chrono::milliseconds kIpamTimeout{30'000};

class IpamDelegate {
 public:
  /// `plugin` is a checked file name; `variables` are NAME=VALUE, this process's environment.
  IpamDelegate(std::string plugin, std::string_view cni_path, std::vector<std::string> variables,
               std::string_view stdin_text);

  CniResult<IpamResult> add();
  /// DEL, CHECK, GC and STATUS: success or the plugin's error.
  CniResult<void> forward(Command command);

 private:
  CniResult<std::string> run(Command command);

  std::string plugin_;
  std::string file_;  // empty: not found
  std::vector<std::string> variables_;
  std::string_view stdin_text_;
};

}  // namespace millrace::cni_shim
