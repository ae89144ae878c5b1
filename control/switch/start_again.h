/// start_again: the program once more from its beginning, in the same process.
///
/// DPDK can be started once in a process. It counts the machine's free hugepages by itself, and when they changed hands
/// between our count and its own (another instance started, or ended), it gives up. A new start counts anew. The
/// process id stays, so whoever watches it sees one start that took longer.
///
/// Shape:   how often it was done stands in the environment, kStartLimit is the most.
/// Thread:  main, before any other thread is there. Files that must not be open twice are closed by execve (O_CLOEXEC).
#pragma once

namespace millrace::control::switchd {

inline constexpr unsigned kStartLimit = 4;

/// Which start of this process it is, from 1.
unsigned start_number();

/// Does not return unless the kernel refuses.
void start_again();

}  // namespace millrace::control::switchd
