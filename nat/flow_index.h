/// FlowIndex: from the hash of a key to the numbers of lines it may be in.
///
/// Shape:   buckets of one cache line: eight 16-bit tags, eight line numbers. A key has two buckets: its first, and one
///          that follows from the first and the tag, either way round (partial-key cuckoo hashing: Fan et al., CoNEXT
///          2014). It lies in its first while there is room; a bucket counts its keys that went to their second, so
///          that a lookup goes there for nearly nobody else. Two full buckets: one of their sixteen keys moves over to
///          its other bucket. One move is enough: at the load of at most one half a bucket is full for 3 % of the keys,
///          so all sixteen are stuck once in 10^24.
/// Size:    at least two slots a key, a power of two of buckets: 16 to 32 bytes a key.
/// Thread:  the owning worker.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "nat/page_memory.h"

namespace millrace::nat {

using LineNumber = std::uint32_t;

/// Where a key's search begins.
struct Probe {
  std::uint32_t bucket = 0;
  std::uint16_t tag = 0;  // never 0: an empty slot's
};

class FlowIndex {
 public:
  static constexpr unsigned kSlots = 8;

  struct alignas(64) Bucket {
    std::uint16_t tags[kSlots];
    LineNumber lines[kSlots];
    std::uint32_t elsewhere;  // keys whose first bucket this is, that lie in their second
    std::uint8_t second;      // a bit a slot: its key's first bucket is the other one
    std::uint8_t reserved[11];
  };
  static_assert(sizeof(Bucket) == 64);

  /// Room for `keys` keys. Its memory is touched here.
  explicit FlowIndex(std::size_t keys)
      : memory_(std::bit_ceil(keys * 2 / kSlots) * sizeof(Bucket)),
        buckets_(memory_.as<Bucket>()),
        mask_(static_cast<std::uint32_t>(std::bit_ceil(keys * 2 / kSlots) - 1)) {
    memory_.touch();
  }

  Probe probe(std::uint64_t hash) const noexcept {
    const auto tag = static_cast<std::uint16_t>(hash >> 48);
    return {static_cast<std::uint32_t>(hash) & mask_, tag == 0 ? std::uint16_t{1} : tag};
  }
  void prefetch(const Probe& probe) const noexcept { __builtin_prefetch(&buckets_[probe.bucket]); }

  const Bucket& first(const Probe& probe) const noexcept { return buckets_[probe.bucket]; }
  const Bucket& second(const Probe& probe) const noexcept { return buckets_[other(probe.bucket, probe.tag)]; }

  /// A bit for each slot that has the tag, lowest first.
  static unsigned matches(const Bucket& bucket, std::uint16_t tag) noexcept {
#ifdef __SSE2__
    const __m128i same = _mm_cmpeq_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(bucket.tags)),
                                         _mm_set1_epi16(static_cast<short>(tag)));
    return static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(same, _mm_setzero_si128())));
#else
    unsigned bits = 0;
    for (unsigned slot = 0; slot < kSlots; ++slot) bits |= static_cast<unsigned>(bucket.tags[slot] == tag) << slot;
    return bits;
#endif
  }

  /// False: both buckets are full and none of their keys can move; nothing changed.
  bool insert(const Probe& probe, LineNumber line) noexcept;
  /// Precondition: it is there.
  void erase(const Probe& probe, LineNumber line) noexcept;

  std::size_t bucket_count() const noexcept { return std::size_t{mask_} + 1; }
  std::size_t memory_bytes() const noexcept { return memory_.bytes(); }

 private:
  /// Its own inverse, and never the bucket itself.
  std::uint32_t other(std::uint32_t bucket, std::uint16_t tag) const noexcept {
    return (bucket ^ (tag * 0x5bd1e995u | 1u)) & mask_;
  }
  bool put(std::uint32_t bucket, std::uint16_t tag, LineNumber line, bool is_second) noexcept;
  bool make_room(std::uint32_t bucket) noexcept;
  bool take_out(std::uint32_t bucket, std::uint16_t tag, LineNumber line) noexcept;

  PageMemory memory_;
  Bucket* buckets_;
  std::uint32_t mask_;
};

}  // namespace millrace::nat
