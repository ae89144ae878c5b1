/// Runs a program with text on its stdin, collects its stdout, and never waits longer than it is told to.
///
/// Shape:   stderr is this process's own. The child gets exactly the given environment and default SIGPIPE.
/// Errors:  CniCode::kIoFailure: it could not be started, wrote more than kMaxChildOutputBytes, or was still running at
///          the deadline (then it is killed).
/// Thread:  any thread. Precondition: SIGPIPE is ignored, for a child may end before it has read its stdin.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "cni-shim/cni_error.h"

namespace millrace::cni_shim {

inline constexpr std::size_t kMaxChildOutputBytes = std::size_t{1} << 20;

struct ChildOutcome {
  int exit_status = 0;  // 128 + signal when it was killed, as shells say it
  std::string output;
};

CniResult<ChildOutcome> run_child(const std::string& program, const std::vector<std::string>& environment,
                                  std::string_view stdin_text, std::chrono::milliseconds timeout);

}  // namespace millrace::cni_shim
