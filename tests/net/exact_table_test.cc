#include "net/exact_table.h"

#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <random>

namespace millrace::net {
namespace {

/// A key that always comes to the same bucket: everything spills.
struct ClumsyKey {
  std::uint64_t value = 0;
  friend bool operator==(const ClumsyKey&, const ClumsyKey&) = default;
};
std::uint64_t table_hash(const ClumsyKey&) { return ~std::uint64_t{0}; }

std::uint32_t key_of(std::uint64_t number, std::uint32_t) { return static_cast<std::uint32_t>(number); }
Key128 key_of(std::uint64_t number, const Key128&) { return {number % 3, number / 3}; }
ClumsyKey key_of(std::uint64_t number, const ClumsyKey&) { return {number}; }

constexpr int kValues[1000] = {};

/// Numbers below `range`, the key zero among them, put into a table of exactly that room and into a map.
template <typename Key, typename Value, unsigned kSlots, Value kEmpty, typename ValueOf>
void compare_with_map(unsigned capacity, unsigned range, ValueOf value_of) {
  ExactTable<Key, Value, kSlots, kEmpty> table(capacity);
  std::map<std::uint64_t, Value> map;
  std::mt19937_64 random(capacity);
  EXPECT_EQ(table.find(key_of(0, Key{})), kEmpty) << "a free slot holds the key zero, and is no answer";
  for (std::uint64_t number = 0; map.size() < capacity; number = random() % range) {
    const Value value = value_of(map.size());
    const bool is_new = map.emplace(number, value).second;
    ASSERT_EQ(table.insert(key_of(number, Key{}), value), is_new) << number;
  }
  EXPECT_EQ(table.size(), capacity);
  for (std::uint64_t number = 0; number < range; ++number) {
    const auto found = map.find(number);
    ASSERT_EQ(table.find(key_of(number, Key{})), found == map.end() ? kEmpty : found->second) << number;
  }
}

template <typename Key, unsigned kSlots>
void compare_all(unsigned capacity, unsigned range) {
  const auto number = [](std::size_t i) { return static_cast<std::uint16_t>(i); };
  const auto pointer = [](std::size_t i) { return &kValues[i % std::size(kValues)]; };
  compare_with_map<Key, std::uint16_t, kSlots, 0xffff>(capacity, range, number);
  if constexpr (kSlots <= 3 && sizeof(Key) <= 8) {
    compare_with_map<Key, const int*, kSlots, nullptr>(capacity, range, pointer);
  }
}

TEST(ExactTable, FindsWhatAMapFinds) {
  for (const unsigned capacity : {1u, 7u, 100u, 5000u}) {
    for (const unsigned range : {capacity, capacity * 2, capacity * 100}) {
      compare_all<std::uint32_t, 8>(capacity, range);
      compare_all<std::uint32_t, 3>(capacity, range);
      compare_all<Key128, 3>(capacity, range);
    }
  }
}

TEST(ExactTable, FindsWhatAMapFindsWhenEverythingSpills) { compare_all<ClumsyKey, 3>(64, 128); }

TEST(ExactTable, OfNoKeysFindsNothing) {
  const ExactTable<std::uint32_t, std::uint16_t, 8, 0xffff> table(0);
  EXPECT_EQ(table.find(0), 0xffff);
  EXPECT_EQ(table.find(1), 0xffff);
  EXPECT_EQ(table.size(), 0u);
}

}  // namespace
}  // namespace millrace::net
