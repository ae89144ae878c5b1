/// FlowTable: the connections a worker owns, found by the tuple of a packet in either direction.
///
/// Shape:   an index of tags (flow_index.h) over an array of line pairs that never move. Half of the index's slots are
///          used at most, so nearly every lookup reads one bucket and one line: find() does so for a burst in phases,
///          each behind a prefetch. start() is the first of them, for a caller that has keys before it has other work.
///          What a sweep reads lies in an array of its own, 8 bytes a flow: last touch, timer, time of creation.
/// Touch:   a packet of a steady flow (flow_timer.h) writes that array only once in kSeenGrainMs: the line, which it
///          has at hand, says when it last did. So last_seen() of flows that are steady is up to a grain old, and they
///          live a grain longer.
/// Size:    `limit` pairs, fixed at construction: two lines, 32 to 64 bytes of index (a power of two) and 8 bytes a
///          flow: 168 bytes at 2^20 IPv4 flows, 296 for IPv6. Beyond it insert() fails.
/// Pressure: above kPressurePercent of the limit each insert() looks at the next kEvictionProbes slots and gives up at
///          most kEvictionBatch flows among them, those unseen longest first: closed ones (flow_timer.h), and where
///          these are too few to bring the size below again, half-open ones until it is.
/// Hash:    keyed with the seed: who sends packets cannot choose the buckets (Crosby and Wallach, USENIX Security
/// 2003).
/// Clock:   `now` never goes backwards; it wraps. No flow is left unswept for 9 hours.
/// Errors:  construction: std::invalid_argument for a limit out of range, std::bad_alloc.
/// Thread:  the owning worker; construction: control. Nothing but construction allocates. The observer does not call
///          the table. Destruction ends no flow: nobody is told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "nat/flow_hash.h"
#include "nat/flow_index.h"
#include "nat/flow_line.h"
#include "nat/flow_timer.h"
#include "nat/page_memory.h"

namespace millrace::nat {

/// Number of a flow in its table: the index of its pair.
using FlowId = std::uint32_t;
inline constexpr FlowId kNoFlow = 0xffffffff;
inline constexpr std::size_t kMinFlowLimit = 1024;
inline constexpr std::size_t kMaxFlowLimit = 16u << 20;
/// Most keys of one find().
inline constexpr unsigned kFindBurst = 64;
/// Most flows of one end_flows().
inline constexpr unsigned kEndBatch = 32;
inline constexpr unsigned kPressurePercent = 95;
inline constexpr unsigned kEvictionProbes = 64;
inline constexpr unsigned kEvictionBatch = 16;
static_assert(kEvictionBatch <= kEndBatch && kEvictionBatch <= kEvictionProbes);
inline constexpr unsigned kSeenGrainShift = 10;
inline constexpr TickMs kSeenGrainMs = 1 << kSeenGrainShift;

enum class Inserted : std::uint8_t {
  kOk,
  kFull,   // no pair is free and no closed or half-open flow was found to give up (Drop::kFlowTableFull)
  kTaken,  // one of the two tuples belongs to another flow: the table is as it was
};

/// Told of each flow before it goes, by erase(), end_flows(), sweep() or eviction: frees the port it holds, counts it.
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

  /// lines[i] is the line of keys[i], nullptr when there is none. At most kFindBurst keys.
  void find(std::span<const Key> keys, std::span<Line*> lines) const noexcept;
  Line* find(const Key& key) const noexcept;
  /// The same in two steps: start() hashes and prefetches buckets, find() does the rest. Other calls may come between.
  void start(std::span<const Key> keys, std::span<Probe> probes) const noexcept;
  void find(std::span<const Key> keys, std::span<const Probe> probes, std::span<Line*> lines) const noexcept;

  /// Brings the bucket of a key to the cache, for an insert() to come.
  void prefetch(const Key& key) const noexcept { index_.prefetch(index_.probe(hash_(key))); }

  /// Makes a pair: lines[0].key = original, lines[1].key = reply, flags kReply of the second and kSteady of both set,
  /// all else zero; `to` is the key. A flow whose two tuples are one (to itself) has its reply line unlinked: it is
  /// never found. May end other flows: lines found before are not valid afterwards unless their flows are neither
  /// closed nor half-open (flow_timer.h) or were touched in this very tick.
  Inserted insert(const Key& original, const Key& reply, FlowTimer timer, TickMs now, Line*& original_line) noexcept;
  /// Ends a flow, the observer told. Either line of it.
  void erase(const Line& line) noexcept;
  /// The same for the flows in these slots, each of which has one: at most kEndBatch, their memory fetched at once.
  void end_flows(std::span<const FlowId> ids) noexcept;

  /// A packet of the flow was seen.
  void touch(Line& line, TickMs now) noexcept {
    if (line.is_steady()) {
      const auto grain = static_cast<std::uint16_t>(now >> kSeenGrainShift);
      if (line.seen == grain) return;
      line.seen = grain;
      line.partner().seen = grain;
    }
    ages_[id_of(line)].last_seen = now;
  }
  FlowTimer timer(const Line& line) const noexcept { return ages_[id_of(line)].timer(); }
  /// What a packet seen now has made of the flow's timer. Not kFree, and nothing half-open after something steady: an
  /// answered flow stays answered.
  void set_timer(Line& line, FlowTimer timer, TickMs now) noexcept;
  TickMs last_seen(FlowId id) const noexcept { return ages_[id].last_seen; }
  /// To kCreatedGrainMs, rounded down.
  TickMs created(FlowId id) const noexcept { return ages_[id].created(); }
  FlowId id_of(const Line& line) const noexcept { return static_cast<FlowId>(&line - lines_) / 2; }

  /// Looks at the next `budget` slots (of those that ever held a flow, each at most once a call) and ends the flows
  /// whose time is over. Returns how many ended. Each flow's time is stretched by up to 1/8, by a hash of its slot, so
  /// that flows made together do not end together.
  unsigned sweep(TickMs now, unsigned budget) noexcept;

  /// The flow in slot `id`, or nullptr; ids are below capacity(). For listing.
  const Line* at(FlowId id) const noexcept {
    return ages_[id].timer() == FlowTimer::kFree ? nullptr : lines_ + std::size_t{id} * 2;
  }

  std::size_t size() const noexcept { return size_; }
  std::size_t limit() const noexcept { return limit_; }
  std::size_t capacity() const noexcept { return limit_; }
  /// Slots below it held a flow at some time: what a sweep goes round, and where a listing may end.
  std::size_t opened() const noexcept { return opened_; }
  std::uint64_t evicted() const noexcept { return evicted_; }
  /// Bytes of memory at full size.
  std::size_t memory_bytes() const noexcept {
    return index_.memory_bytes() + line_memory_.bytes() + age_memory_.bytes();
  }

  static constexpr unsigned kCreatedGrainShift = 8;
  static constexpr TickMs kCreatedGrainMs = 1 << kCreatedGrainShift;

 private:
  /// Zero: a slot that never held a flow. In a free slot `last_seen` is the next free one, kNoFlow in the last.
  struct Age {
    TickMs last_seen;
    std::uint32_t created_and_timer;  // timer in the low byte, the clock's upper 24 bits above
    FlowTimer timer() const noexcept { return static_cast<FlowTimer>(created_and_timer & 0xff); }
    TickMs created() const noexcept { return created_and_timer & ~0xffu; }
  };
  static_assert(sizeof(Age) == 8);

  Line* find_in(const Key& key, const FlowIndex::Bucket& bucket, std::uint16_t tag) const noexcept;
  Line* find_slowly(const Key& key, const Probe& probe) const noexcept;
  FlowId take_slot() noexcept;
  void free_slot(FlowId id) noexcept;
  bool link(const Line* pair, const Probe& original, const Probe& reply) noexcept;
  void end_flow(FlowId id, const Probe& original, const Probe& reply) noexcept;
  void end_flow(FlowId id) noexcept;
  bool is_over(FlowId id, TickMs idle_ms) const noexcept;
  unsigned give_up_closed(FlowId first, FlowId last, TickMs now) noexcept;
  FlowId oldest_half_open(FlowId first, FlowId last, TickMs now) const noexcept;
  void relieve(TickMs now) noexcept;

  FlowHash hash_;
  FlowIndex index_;
  PageMemory line_memory_;
  PageMemory age_memory_;
  Line* lines_;
  Age* ages_;
  std::array<TickMs, kFlowTimerCount> timeouts_ms_;
  std::array<TickMs, kFlowTimerCount> look_ms_;  // a sweep looks closer at a flow that was not seen for so long
  std::uint32_t jitter_seed_;
  FlowObserver<Line>& observer_;
  std::size_t limit_;
  std::size_t pressure_size_;
  std::size_t size_ = 0;
  std::size_t opened_ = 0;  // slots below it have held a flow
  FlowId free_ = kNoFlow;   // last freed, first reused: its lines may still be in the cache
  FlowId sweep_next_ = 0;
  FlowId evict_next_ = 0;
  std::uint64_t evicted_ = 0;
};

using FlowTableV4 = FlowTable<FlowLineV4>;
using FlowTableV6 = FlowTable<FlowLineV6>;

extern template class FlowTable<FlowLineV4>;
extern template class FlowTable<FlowLineV6>;

}  // namespace millrace::nat
