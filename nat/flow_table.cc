#include "nat/flow_table.h"

#include <algorithm>
#include <stdexcept>

namespace millrace::nat {
namespace {

/// A steady flow unseen for this long gets a stale FlowLine::seen: 2^16 grains later the same number would come again.
constexpr TickMs kSeenWrapsMs = kSeenGrainMs << 15;
constexpr unsigned kJitterBits = 8;  // the stretch is a number of these bits, of 2^11: up to 1/8

constexpr LineNumber kNowhere = 0xffffffff;    // no line has the tag
constexpr LineNumber kElsewhere = 0xfffffffe;  // the second bucket has to be asked

std::size_t checked(std::size_t limit) {
  if (limit < kMinFlowLimit || limit > kMaxFlowLimit) throw std::invalid_argument("flow limit out of range");
  return limit;
}

template <typename Line>
void prefetch_line(const Line* line) noexcept {
  for (std::size_t at = 0; at < sizeof(Line); at += 64) {
    __builtin_prefetch(reinterpret_cast<const std::byte*>(line) + at);
  }
}

}  // namespace

template <typename Line>
FlowTable<Line>::FlowTable(std::size_t limit, std::uint64_t seed, const Timeouts& timeouts,
                           FlowObserver<Line>& observer)
    : hash_(seed),
      index_(checked(limit) * 2),
      line_memory_(limit * 2 * sizeof(Line)),
      age_memory_(limit * sizeof(Age)),
      lines_(line_memory_.as<Line>()),
      ages_(age_memory_.as<Age>()),
      timeouts_ms_(timeouts.ms),
      jitter_seed_(static_cast<std::uint32_t>(net::mix64(seed))),
      observer_(observer),
      limit_(limit),
      pressure_size_(limit * kPressurePercent / 100) {
  for (TickMs& ms : timeouts_ms_) ms = std::min(ms, kMaxTimeoutMs);
  for (unsigned timer = 0; timer < kFlowTimerCount; ++timer)
    look_ms_[timer] = std::min(timeouts_ms_[timer], kSeenWrapsMs);
  look_ms_[static_cast<unsigned>(FlowTimer::kFree)] = 0xffffffff;
}

template <typename Line>
Line* FlowTable<Line>::find_in(const Key& key, const FlowIndex::Bucket& bucket, std::uint16_t tag) const noexcept {
  for (unsigned bits = FlowIndex::matches(bucket, tag); bits != 0; bits &= bits - 1) {
    Line* const line = lines_ + bucket.lines[std::countr_zero(bits)];
    if (same_key(line->key, key)) return line;
  }
  return nullptr;
}

template <typename Line>
Line* FlowTable<Line>::find_slowly(const Key& key, const Probe& probe) const noexcept {
  const FlowIndex::Bucket& first = index_.first(probe);
  Line* const line = find_in(key, first, probe.tag);
  if (line != nullptr || first.elsewhere == 0) return line;
  return find_in(key, index_.second(probe), probe.tag);
}

template <typename Line>
Line* FlowTable<Line>::find(const Key& key) const noexcept {
  return find_slowly(key, index_.probe(hash_(key)));
}

template <typename Line>
void FlowTable<Line>::start(std::span<const Key> keys, std::span<Probe> probes) const noexcept {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    probes[i] = index_.probe(hash_(keys[i]));
    index_.prefetch(probes[i]);
  }
}

template <typename Line>
void FlowTable<Line>::find(std::span<const Key> keys, std::span<Line*> lines) const noexcept {
  union Room {
    Room() noexcept {}  // clears nothing for keys that there are not
    Probe probes[kFindBurst];
  } room;
  const std::span probes(room.probes, keys.size());
  start(keys, probes);
  find(keys, probes, lines);
}

template <typename Line>
void FlowTable<Line>::find(std::span<const Key> keys, std::span<const Probe> probes,
                           std::span<Line*> lines) const noexcept {
  LineNumber candidates[kFindBurst];
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const FlowIndex::Bucket& bucket = index_.first(probes[i]);
    const unsigned bits = FlowIndex::matches(bucket, probes[i].tag);
    if (bits != 0) [[likely]] {
      candidates[i] = bucket.lines[std::countr_zero(bits)];
      prefetch_line(lines_ + candidates[i]);
    } else {
      candidates[i] = bucket.elsewhere == 0 ? kNowhere : kElsewhere;
    }
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const LineNumber candidate = candidates[i];
    if (candidate < kElsewhere && same_key(lines_[candidate].key, keys[i])) [[likely]] {
      lines[i] = lines_ + candidate;
    } else {
      lines[i] = candidate == kNowhere ? nullptr : find_slowly(keys[i], probes[i]);
    }
  }
}

template <typename Line>
FlowId FlowTable<Line>::take_slot() noexcept {
  const FlowId id = free_;
  if (id == kNoFlow) return static_cast<FlowId>(opened_++);
  free_ = ages_[id].last_seen;
  return id;
}

template <typename Line>
void FlowTable<Line>::free_slot(FlowId id) noexcept {
  ages_[id] = {free_, 0};
  free_ = id;
}

template <typename Line>
bool FlowTable<Line>::link(const Line* pair, const Probe& original, const Probe& reply) noexcept {
  const auto number = static_cast<LineNumber>(pair - lines_);
  if (!index_.insert(original, number)) return false;
  if (same_key(pair[0].key, pair[1].key) || index_.insert(reply, number + 1)) return true;
  index_.erase(original, number);
  return false;
}

template <typename Line>
Inserted FlowTable<Line>::insert(const Key& original, const Key& reply, FlowTimer timer, TickMs now,
                                 Line*& original_line) noexcept {
  const Probe original_probe = index_.probe(hash_(original));
  const Probe reply_probe = index_.probe(hash_(reply));
  index_.prefetch(reply_probe);
  const std::size_t next_slot = free_ != kNoFlow ? free_ : std::min(opened_, limit_ - 1);
  prefetch_line(lines_ + next_slot * 2);
  prefetch_line(lines_ + next_slot * 2 + 1);
  if (find_slowly(original, original_probe) != nullptr || find_slowly(reply, reply_probe) != nullptr) {
    return Inserted::kTaken;
  }
  if (size_ >= pressure_size_) [[unlikely]] {
    relieve(now);
    if (size_ == limit_) return Inserted::kFull;
  }
  const FlowId id = take_slot();
  Line* const pair = lines_ + std::size_t{id} * 2;
  const std::uint8_t flags = is_steady(timer) ? line_flag::kSteady : std::uint8_t{0};
  const auto grain = static_cast<std::uint16_t>(now >> kSeenGrainShift);
  const auto fill = [&](Line& line, const Key& key, std::uint8_t line_flags) {
    line = Line{};
    line.key = key;
    line.flags = line_flags;
    line.seen = grain;
    line.to = {key.source, key.destination, key.source_port, key.destination_port};
  };
  fill(pair[0], original, flags);
  fill(pair[1], reply, flags | line_flag::kReply);
  if (!link(pair, original_probe, reply_probe)) [[unlikely]] {
    free_slot(id);
    return Inserted::kFull;
  }
  ages_[id] = {now, (now & ~0xffu) | static_cast<std::uint32_t>(timer)};
  ++size_;
  original_line = pair;
  return Inserted::kOk;
}

template <typename Line>
void FlowTable<Line>::set_timer(Line& line, FlowTimer timer, TickMs now) noexcept {
  Age& age = ages_[id_of(line)];
  if (age.timer() == timer) return;
  age = {now, age.created() | static_cast<std::uint32_t>(timer)};
  Line* const pair = &line.original();
  const auto grain = static_cast<std::uint16_t>(now >> kSeenGrainShift);
  for (Line* const each : {pair, pair + 1}) {
    each->flags = static_cast<std::uint8_t>(is_steady(timer) ? each->flags | line_flag::kSteady
                                                             : each->flags & ~line_flag::kSteady);
    each->seen = grain;
  }
}

template <typename Line>
void FlowTable<Line>::end_flow(FlowId id, const Probe& original, const Probe& reply) noexcept {
  const Line* const pair = lines_ + std::size_t{id} * 2;
  observer_.flow_ends(*pair);
  index_.erase(original, id * 2);
  if (!same_key(pair[0].key, pair[1].key)) index_.erase(reply, id * 2 + 1);
  free_slot(id);
  --size_;
}

template <typename Line>
void FlowTable<Line>::end_flow(FlowId id) noexcept {
  const Line* const pair = lines_ + std::size_t{id} * 2;
  const Probe original = index_.probe(hash_(pair[0].key)), reply = index_.probe(hash_(pair[1].key));
  index_.prefetch(original);
  index_.prefetch(reply);
  end_flow(id, original, reply);
}

template <typename Line>
void FlowTable<Line>::erase(const Line& line) noexcept {
  end_flow(id_of(line));
}

template <typename Line>
void FlowTable<Line>::end_flows(std::span<const FlowId> ids) noexcept {
  Probe probes[kEndBatch][2];
  for (const FlowId id : ids) {
    prefetch_line(lines_ + std::size_t{id} * 2);
    prefetch_line(lines_ + std::size_t{id} * 2 + 1);
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (unsigned direction = 0; direction < 2; ++direction) {
      probes[i][direction] = index_.probe(hash_(lines_[std::size_t{ids[i]} * 2 + direction].key));
      index_.prefetch(probes[i][direction]);
    }
  }
  for (std::size_t i = 0; i < ids.size(); ++i) end_flow(ids[i], probes[i][0], probes[i][1]);
}

/// Of a flow unseen for long: whether its time is over.
template <typename Line>
bool FlowTable<Line>::is_over(FlowId id, TickMs idle_ms) const noexcept {
  const FlowTimer timer = ages_[id].timer();
  const TickMs timeout_ms = timeouts_ms_[static_cast<unsigned>(timer)];
  const std::uint32_t stretch = ((id ^ jitter_seed_) * 0x9e3779b1u) >> (32 - kJitterBits);
  const std::uint64_t grain_ms = is_steady(timer) ? kSeenGrainMs : 0;
  return idle_ms >= timeout_ms + (std::uint64_t{timeout_ms} * stretch >> (kJitterBits + 3)) + grain_ms;
}

template <typename Line>
unsigned FlowTable<Line>::sweep(TickMs now, unsigned budget) noexcept {
  unsigned ended = 0;
  std::size_t left = std::min<std::size_t>(budget, opened_);
  while (left > 0) {
    if (sweep_next_ >= opened_) sweep_next_ = 0;
    const auto count = static_cast<unsigned>(std::min<std::size_t>({left, kEndBatch, opened_ - sweep_next_}));
    FlowId over[kEndBatch];
    unsigned found = 0;
    for (FlowId id = sweep_next_; id < sweep_next_ + count; ++id) {
      const TickMs idle_ms = now - ages_[id].last_seen;
      const FlowTimer timer = ages_[id].timer();
      if (idle_ms < look_ms_[static_cast<unsigned>(timer)] || timer == FlowTimer::kFree) continue;
      Line* const pair = lines_ + std::size_t{id} * 2;
      if (is_over(id, idle_ms)) {
        over[found++] = id;
      } else if (idle_ms >= kSeenWrapsMs) {
        pair[0].seen = pair[1].seen = static_cast<std::uint16_t>((now >> kSeenGrainShift) - 1);
      }
    }
    end_flows({over, found});
    ended += found;
    sweep_next_ += count;
    left -= count;
  }
  return ended;
}

/// Ends closed flows of the window, kEvictionBatch of them, but none seen in this tick. Returns how many.
template <typename Line>
unsigned FlowTable<Line>::give_up_closed(FlowId first, FlowId last, TickMs now) noexcept {
  FlowId closed[kEvictionProbes];
  unsigned count = 0;
  for (FlowId id = first; id < last; ++id) {
    closed[count] = id;
    count += is_closed(ages_[id].timer()) && ages_[id].last_seen != now;
  }
  if (count > kEvictionBatch) {
    const auto is_older = [&](FlowId a, FlowId b) { return now - ages_[a].last_seen > now - ages_[b].last_seen; };
    std::nth_element(closed, closed + kEvictionBatch, closed + count, is_older);
    count = kEvictionBatch;
  }
  end_flows({closed, count});
  return count;
}

/// Of the slots in the window the half-open flow unseen longest, but not one seen in this tick.
template <typename Line>
FlowId FlowTable<Line>::oldest_half_open(FlowId first, FlowId last, TickMs now) const noexcept {
  FlowId oldest = kNoFlow;
  TickMs oldest_idle_ms = 0;
  for (FlowId id = first; id < last; ++id) {
    const TickMs idle_ms = now - ages_[id].last_seen;
    if (!is_half_open(ages_[id].timer()) || idle_ms <= oldest_idle_ms) continue;
    oldest = id;
    oldest_idle_ms = idle_ms;
  }
  return oldest;
}

template <typename Line>
void FlowTable<Line>::relieve(TickMs now) noexcept {
  if (evict_next_ >= opened_) evict_next_ = 0;
  const FlowId first = evict_next_;
  const auto last = static_cast<FlowId>(std::min<std::size_t>(first + kEvictionProbes, opened_));
  evict_next_ = last;
  unsigned count = give_up_closed(first, last, now);
  evicted_ += count;
  // More than one where a window before this had none: the size comes back below the pressure.
  for (; count < kEvictionBatch && size_ >= pressure_size_; ++count) {
    const FlowId oldest = oldest_half_open(first, last, now);
    if (oldest == kNoFlow) return;
    end_flow(oldest);
    ++evicted_;
  }
}

template class FlowTable<FlowLineV4>;
template class FlowTable<FlowLineV6>;

}  // namespace millrace::nat
