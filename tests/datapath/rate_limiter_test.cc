#include "datapath/rate_limiter.h"

#include <gtest/gtest.h>

namespace millrace::datapath {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

unsigned allowed_at(RateLimiter& limiter, std::uint64_t now_ns, unsigned tries) {
  unsigned allowed = 0;
  for (unsigned i = 0; i < tries; ++i) allowed += limiter.allow(now_ns) ? 1 : 0;
  return allowed;
}

TEST(RateLimiter, LetsABurstPassAndThenTheRate) {
  RateLimiter limiter(1000, 100);
  EXPECT_EQ(allowed_at(limiter, 5 * kSecond, 500), 100u);
  EXPECT_EQ(allowed_at(limiter, 5 * kSecond + kSecond / 100, 500), 10u);
  EXPECT_EQ(allowed_at(limiter, 5 * kSecond + kSecond / 100, 500), 0u);
}

TEST(RateLimiter, RestSavesUpNoMoreThanABurst) {
  RateLimiter limiter(1000, 100);
  EXPECT_EQ(allowed_at(limiter, 1, 500), 100u);
  EXPECT_EQ(allowed_at(limiter, 3600 * kSecond, 500), 100u);
}

TEST(RateLimiter, KeepsTheRateOverASecondOfSteadyLoad) {
  RateLimiter limiter(1000, 1);
  unsigned allowed = 0;
  for (std::uint64_t now = 0; now < kSecond; now += 10'000) allowed += limiter.allow(now) ? 1 : 0;
  EXPECT_EQ(allowed, 1000u);
}

}  // namespace
}  // namespace millrace::datapath
