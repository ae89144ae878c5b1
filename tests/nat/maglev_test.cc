#include "nat/maglev.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "net/flow_key.h"

namespace millrace::nat {
namespace {

std::vector<std::uint64_t> keys_of(unsigned count, std::uint64_t seed = 1) {
  std::vector<std::uint64_t> keys;
  for (unsigned i = 0; i < count; ++i) keys.push_back(net::mix64(seed * 1'000'003 + i));
  return keys;
}

/// The key of the backend at each entry: numbers shift when a backend goes, keys do not.
std::vector<std::uint64_t> owners_of(const std::vector<std::uint64_t>& keys) {
  std::vector<std::uint64_t> owners;
  for (const std::uint16_t backend : maglev_table(keys)) owners.push_back(keys.at(backend));
  return owners;
}

/// Entries that change hands between two tables of one size though neither owner came or went.
std::size_t moved(const std::vector<std::uint64_t>& before, const std::vector<std::uint64_t>& after,
                  std::uint64_t changed) {
  EXPECT_EQ(before.size(), after.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    count += before[i] != after[i] && before[i] != changed && after[i] != changed;
  }
  return count;
}

bool is_prime(std::uint32_t number) {
  if (number % 2 == 0) return number == 2;
  for (std::uint32_t divisor = 3; divisor * divisor <= number; divisor += 2) {
    if (number % divisor == 0) return false;
  }
  return number > 1;
}

TEST(MaglevSize, IsTheLargestPrimeBelowAPowerOfTwo) {
  std::uint32_t power = 1024;
  for (const std::uint32_t size : kMaglevSizes) {
    EXPECT_TRUE(is_prime(size)) << size;
    EXPECT_LT(size, power);
    for (std::uint32_t larger = size + 1; larger < power; ++larger) EXPECT_FALSE(is_prime(larger)) << larger;
    power *= 2;
  }
}

TEST(MaglevSize, HasOneHundredEntriesABackendFromTwoBackendsOn) {
  EXPECT_EQ(maglev_size(1), 1u);
  for (std::size_t backends = 2; backends <= kMaxMaglevBackends; ++backends) {
    ASSERT_GE(maglev_size(backends), backends * kMaglevFactor) << backends;
    if (backends > 10) { ASSERT_LE(maglev_size(backends), backends * kMaglevFactor * 21 / 10) << backends; }
  }
}

TEST(MaglevTable, GivesEveryBackendTheSameShareButForOneEntry) {
  for (const unsigned backends : {1u, 2u, 3u, 7u, 10u, 11u, 99u, 100u, 163u, 1000u, 5000u}) {
    std::vector<std::size_t> share(backends);
    for (const std::uint16_t backend : maglev_table(keys_of(backends))) ++share.at(backend);
    const auto [least, most] = std::minmax_element(share.begin(), share.end());
    EXPECT_LE(*most - *least, 1u) << backends << " backends";
    EXPECT_GE(*least, backends == 1 ? 1 : kMaglevFactor) << backends << " backends";
  }
}

/// What the paper's algorithm gives on its own words: permutations in full, then turns. Table 1 of the paper.
TEST(MaglevTable, IsThePapersPseudocode) {
  constexpr std::uint32_t size = maglev_size(9);
  const auto keys = keys_of(9);
  std::vector<std::vector<std::uint32_t>> permutation(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::uint64_t offset = (keys[i] >> 32) % size, skip = (keys[i] & 0xffffffff) % (size - 1) + 1;
    for (std::uint64_t j = 0; j < size; ++j) {
      permutation[i].push_back(static_cast<std::uint32_t>((offset + j * skip) % size));
    }
  }
  std::vector<int> entry(size, -1);
  std::vector<std::size_t> next(keys.size(), 0);
  std::uint32_t filled = 0;
  while (filled < size) {
    for (std::size_t i = 0; i < keys.size() && filled < size; ++i) {
      while (entry[permutation[i][next[i]]] >= 0) ++next[i];
      entry[permutation[i][next[i]++]] = static_cast<int>(i);
      ++filled;
    }
  }
  const auto table = maglev_table(keys);
  EXPECT_TRUE(std::equal(table.begin(), table.end(), entry.begin(), entry.end()));
}

TEST(MaglevTable, MovesAtMostTwoPercentOfTheOthersWhenOneOfAHundredGoesOrComes) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto all = keys_of(100, seed);
    auto fewer = all;
    const std::uint64_t gone = all[seed * 5];
    std::erase(fewer, gone);
    const auto with = owners_of(all), without = owners_of(fewer);
    // The same two tables are the set that shrinks and the set that grows.
    EXPECT_LE(moved(with, without, gone), with.size() * 2 / 100) << "seed " << seed;
    EXPECT_GT(std::count(with.begin(), with.end(), gone), 0);
    EXPECT_EQ(std::count(without.begin(), without.end(), gone), 0);
  }
}

TEST(MaglevTable, SurvivesBackendsOfOneKey) {
  const std::vector<std::uint64_t> keys(10, 0x123456789abcdef0);
  std::vector<std::size_t> share(keys.size());
  for (const std::uint16_t backend : maglev_table(keys)) ++share.at(backend);
  const auto [least, most] = std::minmax_element(share.begin(), share.end());
  EXPECT_LE(*most - *least, 1u);
}

TEST(MaglevIndex, SpreadsHashesOverTheWholeTable) {
  for (const std::uint32_t size : {1u, 1021u, 524287u}) {
    EXPECT_EQ(maglev_index(0, size), 0u);
    EXPECT_EQ(maglev_index(~std::uint64_t{0}, size), size - 1);
  }
  std::vector<unsigned> hits(1021);
  for (unsigned i = 0; i < 1021 * 100; ++i) ++hits.at(maglev_index(net::mix64(i), 1021));
  const auto [least, most] = std::minmax_element(hits.begin(), hits.end());
  // 100 are expected; Poisson: 5.5 standard deviations.
  EXPECT_GT(*least, 45u);
  EXPECT_LT(*most, 155u);
}

}  // namespace
}  // namespace millrace::nat
