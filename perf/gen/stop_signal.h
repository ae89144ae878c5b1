/// Lets SIGINT and SIGTERM end a run in good order: system calls are interrupted, and loops ask stop_requested(). A
/// peer that closes its end of a socket ends nothing (SIGPIPE).
///
/// Thread:  install from main; ask from any.
#pragma once

namespace millrace::perf::gen {

void install_stop_signal();
bool stop_requested() noexcept;

}  // namespace millrace::perf::gen
