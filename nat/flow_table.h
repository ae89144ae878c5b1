/// FlowTable: the connections a worker owns, found by the tuple of a packet in either direction.
///
/// Shape:   an index of buckets of one cache line (eight 16-bit tags, eight line numbers) over an array of line pairs
///          that never move. A key has two buckets: its first, and one that follows from the first and the tag (cuckoo
///          filter, Fan et al., CoNEXT 2014); a bucket remembers how many of its keys went to their second. Half of the
///          slots are used when the table is full, so nearly every lookup reads one bucket and one line: find() does so
///          for a burst in two phases, each behind a prefetch.
///          Last-seen ticks and timers lie in arrays of their own: a sweep reads 5 bytes a flow.
/// Size:    `flow_limit` pairs, fixed at construction: 2 lines, 24 bytes of index and 5 bytes a flow, rounded up to a
///          power of two. Beyond it insert() fails.
/// Pressure: above kPressure of the limit insert() gives up half-open flows, looking at kEvictionProbes of them.
/// Hash:    keyed with the seed: who sends packets cannot choose the buckets (Crosby and Wallach, USENIX Security 2003).
/// Thread:  the owning worker; construction: control. Nothing but construction allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "nat/flow_line.h"
#include "nat/flow_timer.h"

namespace millrace::nat {

/// Number of a flow in its table: the index of its pair.
using FlowId = std::uint32_t;
inline constexpr FlowId kNoFlow = 0xffffffff;
inline constexpr std::size_t kMinFlowLimit = 1024;
inline constexpr std::size_t kMaxFlowLimit = 16u << 20;
/// Most keys of one find().
inline constexpr unsigned kFindBurst = 64;

enum class Inserted : std::uint8_t {
  kOk,
  kFull,   // no pair is free and no half-open flow was found to give up (Drop::kFlowTableFull)
  kTaken,  // one of the two tuples belongs to another flow: the table is as it was
};

/// What a sweep or an eviction tells before a flow goes: frees the port it holds, counts it.
template <typename Line>
class FlowObserver {
 public:
  virtual ~FlowObserver() = default;
  virtual void flow_ends(const Line& original) noexcept = 0;
};

template <typename Line>
class FlowTable {
 public:
  using Key = typename Line::Key;

  /// Memory comes from the operating system in pages as large as it gives; the index is touched at once, lines when
  /// flows come. `limit` in kMinFlowLimit..kMaxFlowLimit. The observer outlives the table.
  FlowTable(std::size_t limit, std::uint64_t seed, const Timeouts& timeouts, FlowObserver<Line>& observer);
  ~FlowTable();

  /// lines[i] is the line of keys[i], nullptr when there is none. At most kFindBurst keys.
  void find(std::span<const Key> keys, std::span<Line*> lines) noexcept;
  Line* find(const Key& key) noexcept;

  /// Makes a pair: lines[0].key = original, lines[1].key = reply, flags kReply of the second set, all else zero; `to` is
  /// the key. A flow whose two tuples are one (to itself) has its reply line unlinked. May end other flows: lines found
  /// before are not valid afterwards unless they are of flows that were touched in this very tick.
  Inserted insert(const Key& original, const Key& reply, FlowTimer timer, TickMs now, Line*& original_line) noexcept;
  /// Ends a flow, the observer told.
  void erase(const Line& line) noexcept;

  void touch(const Line& line, TickMs now) noexcept;
  FlowTimer timer(const Line& line) const noexcept;
  void set_timer(const Line& line, FlowTimer timer) noexcept;
  TickMs last_seen(FlowId id) const noexcept;
  TickMs created(FlowId id) const noexcept;
  FlowId id_of(const Line& line) const noexcept;

  /// Looks at the next `budget` slots and ends the flows whose time is over. Returns how many ended. Each flow's time
  /// is stretched by up to 1/8, by a hash of its slot, so that flows made together do not end together.
  unsigned sweep(TickMs now, unsigned budget) noexcept;

  /// The flow in slot `id`, or nullptr; ids are below capacity(). For listing.
  const Line* at(FlowId id) const noexcept;

  std::size_t size() const noexcept;
  std::size_t limit() const noexcept;
  std::size_t capacity() const noexcept;
  std::uint64_t evicted() const noexcept;
  /// Bytes of memory at full size.
  std::size_t memory_bytes() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;  // contract sketch: the room decides its members
};

using FlowTableV4 = FlowTable<FlowLineV4>;
using FlowTableV6 = FlowTable<FlowLineV6>;

}  // namespace millrace::nat
