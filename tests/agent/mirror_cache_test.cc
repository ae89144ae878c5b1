// The cluster on disk: what was written is what is read, and a file that is not so is thrown away.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "control/agent/cluster/mirror_cache.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent::cluster {
namespace {

etcd::KeyValue item(const std::string& key, const std::string& value, std::int64_t revision = 3) {
  return {key, value, 2, revision, 5, 77};
}

class Cache : public testing::Test {
 protected:
  std::unique_ptr<MirrorCache> open(const std::string& prefix = "/m/") {
    return MirrorCache::open(directory_.file("cluster.db"), prefix);
  }
  void write_some() {
    auto cache = open();
    cache->write({7, {{"/m/a", std::nullopt, item("/m/a", "1")}, {"/m/b", std::nullopt, item("/m/b", "2")}}, true});
  }
  const ScratchDirectory directory_;
};

TEST_F(Cache, is_empty_at_first_and_then_what_was_written) {
  EXPECT_EQ(open()->load().revision, 0);
  write_some();
  const std::string bytes("\0\xff'", 3);
  open()->write({9, {{"/m/a", item("/m/a", "1"), std::nullopt}, {"/m/b", item("/m/b", "2"), item("/m/b", bytes, 9)}}});
  const auto state = open()->load();
  EXPECT_EQ(state.revision, 9);
  EXPECT_EQ(state.items, std::vector{item("/m/b", bytes, 9)});
}

TEST_F(Cache, of_another_cluster_is_thrown_away) {
  write_some();
  EXPECT_EQ(open("/other/")->load().revision, 0);
  EXPECT_EQ(open("/m/")->load().revision, 0);
}

TEST_F(Cache, that_is_damaged_is_thrown_away_and_works_again) {
  for (const char* what : {"no database at all, but long enough to be looked at", "", "torn"}) {
    write_some();
    if (what == std::string("torn")) {
      std::fstream file(directory_.file("cluster.db"), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(4096);
      file << std::string(4096, 'x');
    } else {
      std::ofstream(directory_.file("cluster.db"), std::ios::trunc) << what;
    }
    auto cache = open();
    EXPECT_EQ(cache->load().revision, 0) << what;
    EXPECT_TRUE(cache->is_working());
    cache->write({4, {{"/m/c", std::nullopt, item("/m/c", "3")}}, true});
    cache.reset();
    EXPECT_EQ(open()->load().items, std::vector{item("/m/c", "3")});
  }
}

TEST_F(Cache, that_cannot_be_is_none) {
  auto cache = MirrorCache::open(directory_.file("missing/cluster.db"), "/m/");
  EXPECT_FALSE(cache->is_working());
  EXPECT_EQ(cache->load().revision, 0);
  cache->write({4, {{"/m/c", std::nullopt, item("/m/c", "3")}}, true});
}

}  // namespace
}  // namespace millrace::control::agent::cluster
