/// for_each_parallel: the same work on many devices, of which most is waiting in the kernel.
///
/// Thread:  the caller's, joined by at most kMaxDeviceThreads - 1 that end before it returns; one piece of work starts
///          none. They run on the CPUs of the caller. `work` is called from all of them and must not throw.
#pragma once

#include <cstddef>
#include <functional>

namespace millrace::control::switchd {

/// Closing waits about 10 ms for a grace period of RCU, which all that wait at once share; opening is mostly serialised
/// by the kernel (its rtnl lock), so more threads would not help it.
inline constexpr std::size_t kMaxDeviceThreads = 16;

/// work(0) .. work(count - 1), each once, in no order.
void for_each_parallel(std::size_t count, const std::function<void(std::size_t)>& work);

}  // namespace millrace::control::switchd
