#include "datapath/publisher.h"

#include <gtest/gtest.h>

namespace millrace::datapath {
namespace {

std::unique_ptr<const Snapshot> snapshot(std::uint64_t generation) {
  auto made = std::make_unique<Snapshot>();
  made->generation = generation;
  return made;
}

TEST(Publisher, HasNothingBeforeTheFirstPublish) {
  Publisher publisher(1);
  EXPECT_EQ(publisher.current(), nullptr);
  EXPECT_EQ(publisher.reclaim(), 0u);
}

TEST(Publisher, CurrentIsTheLastPublished) {
  Publisher publisher(1);
  publisher.publish(snapshot(1));
  EXPECT_EQ(publisher.current()->generation, 1u);
  publisher.publish(snapshot(7));
  EXPECT_EQ(publisher.current()->generation, 7u);
}

TEST(Publisher, IsSeenByAllOnlyWhenTheSlowestWorkerSawIt) {
  Publisher publisher(3);
  publisher.publish(snapshot(1));
  publisher.saw(0, 1);
  publisher.saw(2, 1);
  EXPECT_FALSE(publisher.seen_by_all(1));
  publisher.saw(1, 1);
  EXPECT_TRUE(publisher.seen_by_all(1));
  EXPECT_FALSE(publisher.seen_by_all(2));
}

TEST(Publisher, FreesWhatEveryWorkerHasPassedAndNothingElse) {
  Publisher publisher(2);
  for (std::uint64_t generation : {1, 2, 3}) publisher.publish(snapshot(generation));
  EXPECT_EQ(publisher.reclaim(), 3u) << "no worker has seen anything";
  publisher.saw(0, 3);
  EXPECT_EQ(publisher.reclaim(), 3u) << "worker 1 may hold any";
  publisher.saw(1, 1);
  EXPECT_EQ(publisher.reclaim(), 3u) << "worker 1 holds the first";
  publisher.saw(1, 2);
  EXPECT_EQ(publisher.reclaim(), 2u) << "worker 1 holds the second";
  publisher.saw(1, 3);
  EXPECT_EQ(publisher.reclaim(), 1u) << "the current one stays";
  EXPECT_EQ(publisher.current()->generation, 3u);
}

}  // namespace
}  // namespace millrace::datapath
