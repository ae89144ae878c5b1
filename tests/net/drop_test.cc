// The list of drops: every reason has a name of its own that can be a metric, and a sentence.

#include "net/drop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace millrace::net {
namespace {

TEST(Drop, EveryReasonHasItsOwnMetricNameAndText) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kDropCount; ++i) {
    const auto drop = static_cast<Drop>(i);
    EXPECT_TRUE(names.insert(drop_name(drop)).second) << drop_name(drop) << " is there twice";
    EXPECT_TRUE(std::all_of(drop_name(drop).begin(), drop_name(drop).end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    })) << drop_name(drop);
    EXPECT_FALSE(drop_text(drop).empty());
  }
  EXPECT_EQ(drop_name(Drop::kNone), "none");
  EXPECT_EQ(drop_name(Drop::kSourceRouted), "source_routed");
}

TEST(Drop, ANumberOutsideTheListIsSafe) {
  EXPECT_EQ(drop_name(static_cast<Drop>(kDropCount)), "unknown");
  EXPECT_EQ(drop_name(static_cast<Drop>(255)), "unknown");
}

}  // namespace
}  // namespace millrace::net
