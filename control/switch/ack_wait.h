/// Waits for workers: until every one has seen a generation, or one has done what control asked of it.
///
/// Workers make no system call while they forward, so none of them could signal; a resting one is woken and then takes
/// a turn within microseconds. So this looks, and between looks sleeps in steps that double up to kLongestStep: the
/// cost of an Apply is bounded, and a worker that forwards is not disturbed.
///
/// Errors:  kDeadlineExceeded when ack_timeout is over; says the generation and which workers are missing. The
///          generation stays published: it is in force for the others, and for these at their next turn.
/// Thread:  any control thread, several at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "control/switch/worker_access.h"
#include "net/result.h"

namespace millrace::control::switchd {

/// Looks until `is_done`, or `timeout` is over: then false.
bool wait_until(const std::function<bool()>& is_done, std::chrono::milliseconds timeout);

net::Result<void> wait_until_passed(const WorkerAccess& workers, std::uint64_t generation);

}  // namespace millrace::control::switchd
