#include "nat/flow_index.h"

namespace millrace::nat {

bool FlowIndex::insert(const Probe& probe, LineNumber line) noexcept {
  const std::uint32_t second = other(probe.bucket, probe.tag);
  if (put(probe.bucket, probe.tag, line, false)) return true;
  if (put(second, probe.tag, line, true)) return true;
  if (make_room(probe.bucket)) return put(probe.bucket, probe.tag, line, false);
  if (make_room(second)) return put(second, probe.tag, line, true);
  return false;
}

void FlowIndex::erase(const Probe& probe, LineNumber line) noexcept {
  if (take_out(probe.bucket, probe.tag, line)) return;
  take_out(other(probe.bucket, probe.tag), probe.tag, line);
}

bool FlowIndex::put(std::uint32_t bucket_number, std::uint16_t tag, LineNumber line, bool is_second) noexcept {
  Bucket& bucket = buckets_[bucket_number];
  const unsigned free = matches(bucket, 0);
  if (free == 0) return false;
  const auto slot = static_cast<unsigned>(std::countr_zero(free));
  bucket.tags[slot] = tag;
  bucket.lines[slot] = line;
  if (is_second) {
    bucket.second = static_cast<std::uint8_t>(bucket.second | 1u << slot);
    ++buckets_[other(bucket_number, tag)].elsewhere;
  }
  return true;
}

/// Moves one key of a full bucket to its other bucket.
bool FlowIndex::make_room(std::uint32_t bucket_number) noexcept {
  Bucket& bucket = buckets_[bucket_number];
  for (unsigned slot = 0; slot < kSlots; ++slot) {
    const std::uint16_t tag = bucket.tags[slot];
    const LineNumber line = bucket.lines[slot];
    const bool was_second = (bucket.second >> slot & 1) != 0;
    if (!put(other(bucket_number, tag), tag, line, !was_second)) continue;
    // The slot itself, not the first that looks like it: the tag and line are there twice just now, in two buckets.
    return take_out(bucket_number, tag, line);
  }
  return false;
}

bool FlowIndex::take_out(std::uint32_t bucket_number, std::uint16_t tag, LineNumber line) noexcept {
  Bucket& bucket = buckets_[bucket_number];
  for (unsigned bits = matches(bucket, tag); bits != 0; bits &= bits - 1) {
    const auto slot = static_cast<unsigned>(std::countr_zero(bits));
    if (bucket.lines[slot] != line) continue;
    bucket.tags[slot] = 0;
    if ((bucket.second >> slot & 1) != 0) {
      bucket.second = static_cast<std::uint8_t>(bucket.second & ~(1u << slot));
      --buckets_[other(bucket_number, tag)].elsewhere;
    }
    return true;
  }
  return false;
}

}  // namespace millrace::nat
