/// VhostLink: what the worker of a guest's port and DPDK's thread for the guest (vhost-events) share.
///
/// Shape:   the guest's number while its rings may be used, which queues it uses, what it agreed to, and what the
///          worker waits on.
/// Order:   as Dekker has it: the worker writes in_burst, then reads guest; DPDK's thread writes guest, then reads
///          in_burst, in one order for both. So either the worker sees that the guest goes, or DPDK's thread sees the
///          burst and waits.
/// Loss:    a guest that takes its memory back (lent_memory.h) is as one that is gone: whoever finds out writes that
///          `guest` may not be used, in the midst of a burst, which ends on zeros. What DPDK says of the guest later
///          changes nothing, until it has connected anew.
/// Thread:  see each member; lose_memory: any, in a signal handler.
#pragma once

#include <rte_vhost.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>

#include "datapath/io/guest_rings.h"
#include "datapath/io/kick_set.h"
#include "datapath/io/lent_memory.h"
#include "datapath/io/ring_rules.h"
#include "datapath/io/vhost_port.h"
#include "datapath/io/wait_budget.h"

namespace millrace::datapath::io {

inline constexpr int kNoGuest = -1;
/// virtio 1.2, section 5.1.2: receiveq1 is 0, transmitq1 is 1, and so on; named from the guest's side.
constexpr std::uint16_t to_guest(unsigned pair) { return static_cast<std::uint16_t>(2 * pair); }
constexpr std::uint16_t from_guest(unsigned pair) { return static_cast<std::uint16_t>(2 * pair + 1); }

struct VhostLink final : LentMemory::Owner {
  explicit VhostLink(std::unique_ptr<KickSet> set) : kicks(std::move(set)) {}
  void lose_memory() noexcept override;

  const std::unique_ptr<KickSet> kicks;           // never null in an open port
  std::atomic<int> guest{kNoGuest};               // DPDK's number of it, while its rings may be used
  alignas(64) std::atomic<bool> in_burst{false};  // the worker uses `guest`
  std::atomic<std::uint64_t> pairs{0};            // of which the guest takes packets
  std::atomic<std::uint64_t> features{0};         // that the guest and DPDK agreed on
  std::atomic<std::uint64_t> refused{0};
  std::atomic<bool> has_lost_memory{false};  // until its connection ends
  std::atomic<std::uint64_t> memory_losses{0};
  std::atomic<std::uint64_t> refusals{0};  // of messages, and of guests that were waited for long enough
  GuestRings rings;
  LentMemory memory{*this};                // DPDK's threads alone, as connection
  bool is_refusal_told = false;            // so is this
  bool has_memory = false;                 // so is this: DPDK says where it lies, and asked without any it crashes
  unsigned pair_limit = kVhostQueuePairs;  // set before DPDK knows the socket
  RingRules rules;                         // so are these
  int connection = kNoGuest;               // DPDK's threads alone, one after the other
  std::thread::id connected_by;            // as connection
  std::chrono::steady_clock::time_point connected_at;
  WaitBudget patience;  // so is this, of all the port's connections, as is the next
  WaitBudget::Clock::time_point slowness_told_until;
};

/// What DPDK calls when guests come, change and go.
extern const rte_vhost_device_ops kVhostEvents;

}  // namespace millrace::datapath::io
