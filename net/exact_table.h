/// ExactTable: an address, or a key made of one, to a small value; one cache line a probe.
///
/// Shape:   open addressing over buckets of one cache line: kSlots keys, their values, and whether an insertion went on
///          to the next bucket. kEmpty is the value of a free slot, and the answer for a key that is not there.
///          Load is at most one half, so nearly every lookup ends in its first line. All slots of a bucket are compared
///          without a branch; only "found here, or nobody spilled" is one.
/// Size:    fixed when built; insert never grows the table.
/// Key:     compares by value, a free slot holds Key{}; table_hash(key) spreads it over the top bits of 64.
/// Thread:  insert: while building. find: any thread afterwards. find never allocates.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace millrace::net {

/// An IPv6 address in host order; family 4 uses a plain std::uint32_t.
struct Key128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const Key128& a, const Key128& b) noexcept {
    return ((a.high ^ b.high) | (a.low ^ b.low)) == 0;
  }
};

/// Multiplicative (Fibonacci) hashing, Knuth vol. 3 section 6.4: the index is the top bits of the product.
inline std::uint64_t table_hash(std::uint32_t key) noexcept { return key * 0x9e3779b97f4a7c15u; }
inline std::uint64_t table_hash(const Key128& key) noexcept {
  return (key.low ^ (key.high * 0x9e3779b97f4a7c15u)) * 0xbf58476d1ce4e5b9u;
}

template <typename Key, typename Value, unsigned kSlots, Value kEmpty>
class ExactTable {
 public:
  /// Room for `capacity` keys.
  explicit ExactTable(std::size_t capacity) {
    const std::size_t buckets = std::bit_ceil(capacity * 2 / kSlots + 2);
    buckets_.resize(buckets);
    mask_ = buckets - 1;
    shift_ = 64u - static_cast<unsigned>(std::countr_zero(buckets));
  }

  /// False: the key is there already, nothing changed. Precondition: fewer than `capacity` keys, value != kEmpty.
  bool insert(const Key& key, Value value) {
    if (find(key) != kEmpty) return false;
    std::size_t index = table_hash(key) >> shift_;
    for (;; index = (index + 1) & mask_) {
      Bucket& bucket = buckets_[index];
      for (unsigned slot = 0; slot < kSlots; ++slot) {
        if (bucket.values[slot] != kEmpty) continue;
        bucket.keys[slot] = key;
        bucket.values[slot] = value;
        ++size_;
        return true;
      }
      bucket.spilled = true;
    }
  }

  /// kEmpty when the key is not there.
  Value find(const Key& key) const noexcept {
    std::size_t index = table_hash(key) >> shift_;
    for (;; index = (index + 1) & mask_) {
      const Bucket& bucket = buckets_[index];
      const Value found = find_in(bucket, key);
      if (found != kEmpty || !bucket.spilled) [[likely]]
        return found;
    }
  }

  /// Fetches what find() will read first.
  void prefetch(const Key& key) const noexcept { __builtin_prefetch(&buckets_[table_hash(key) >> shift_]); }

  std::size_t size() const noexcept { return size_; }
  std::size_t memory_bytes() const noexcept { return buckets_.capacity() * sizeof(Bucket); }

 private:
  struct alignas(64) Bucket {
    std::array<Key, kSlots> keys{};
    std::array<Value, kSlots> values = filled();
    bool spilled = false;

    static constexpr std::array<Value, kSlots> filled() noexcept {
      std::array<Value, kSlots> values{};
      values.fill(kEmpty);
      return values;
    }
  };
  static_assert(sizeof(Bucket) == 64);

  static Value find_in(const Bucket& bucket, const Key& key) noexcept {
#ifdef __SSE2__
    if constexpr (sizeof(Key) == 4 && kSlots == 8) {
      // All eight keys at once: one bit a slot, and the lowest is the first that matches.
      const __m128i wanted = _mm_set1_epi32(static_cast<int>(key));
      const auto* keys = reinterpret_cast<const __m128i*>(bucket.keys.data());
      const __m128i low = _mm_cmpeq_epi32(_mm_load_si128(keys), wanted);
      const __m128i high = _mm_cmpeq_epi32(_mm_load_si128(keys + 1), wanted);
      const __m128i both = _mm_packs_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128());
      const auto matches = static_cast<unsigned>(_mm_movemask_epi8(both));
      return matches == 0 ? kEmpty : bucket.values[static_cast<unsigned>(std::countr_zero(matches))];
    }
#endif
    Value found = kEmpty;
    // Downwards: an empty slot also matches the key zero, and full slots come first.
    for (unsigned slot = kSlots; slot-- > 0;) found = bucket.keys[slot] == key ? bucket.values[slot] : found;
    return found;
  }

  std::vector<Bucket> buckets_;
  std::size_t mask_ = 0;
  unsigned shift_ = 0;
  std::size_t size_ = 0;
};

}  // namespace millrace::net
