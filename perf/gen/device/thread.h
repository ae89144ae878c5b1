/// What a thread of the generator asks of the kernel.
///
/// Thread:  each is about the calling one.
#pragma once

#include <cstdint>

namespace millrace::perf::gen {

/// ns for which the thread wanted to run and did not, since it began (/proc/thread-self/schedstat, second field).
std::uint64_t waited_ns();
/// Binds the thread to one CPU; where the kernel refuses, it stays where it is.
void pin(int cpu);

}  // namespace millrace::perf::gen
