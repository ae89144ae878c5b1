/// What a guest's ring needs before it is used, because another switch may have used it and been killed.
///
/// Thread:  DPDK's own (vhost-events), in its call vring_state_changed, in which it holds the queue.
#pragma once

#include <cstdint>

namespace millrace::datapath::io {

/// A packed ring goes on where it was left (packed_ring.h), also when the guest's side says otherwise; split rings go
/// on where it says. The driver is told to look at the ring: what was
/// used last it may not have been told of, and it waits for that before it sends more (Linux, TCP small queues).
void resume_ring(int guest, std::uint16_t queue) noexcept;

}  // namespace millrace::datapath::io
