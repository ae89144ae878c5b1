// The mirror of a prefix against a real etcd: first state, changes, what comes while it is away.
#include "control/etcd/mirror.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/etcd/recorder.h"
#include "tests/etcd/server.h"

namespace millrace::control::etcd {
namespace {

using namespace std::chrono_literals;

// Short, so that a test need not wait long for what takes seconds in life.
constexpr MirrorTimes kTimes{.silence = 300ms, .answer = 500ms, .first_backoff = 20ms, .last_backoff = 200ms};
constexpr std::chrono::seconds kPatience = Recorder::kPatience;

class MirrorTest : public testing::Test {
 protected:
  void SetUp() override {
    server_ = start_server();
    client_ = open(server_->options());
  }

  std::int64_t put(const std::string& key, const std::string& value) {
    const auto revision = client_->put({.key = key, .value = value, .lease = 0});
    EXPECT_TRUE(revision.ok()) << revision.error().message;
    return revision.ok() ? *revision : 0;
  }
  State truth(const std::string& prefix = "/m/") {
    const auto range = client_->range(prefix, 0, 0);
    EXPECT_TRUE(range.ok()) << range.error().message;
    return range.ok() ? to_state(range->items) : State{};
  }

  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
  Recorder recorder_;
};

TEST_F(MirrorTest, TheFirstStateIsWholeOverManyPages) {
  constexpr int kKeys = 1203;
  for (int i = 0; i < kKeys; i += 100) {
    Txn txn;
    for (int j = i; j < std::min(i + 100, kKeys); ++j)
      txn.puts.push_back({.key = fmt::format("/m/{:05}", j), .value = fmt::format("{}", j), .lease = 0});
    ASSERT_TRUE(client_->txn(txn).ok());
  }
  put("/n", "not ours");
  Mirror mirror(*client_, "/m/", recorder_.on_batch(), kTimes);
  EXPECT_FALSE(mirror.status().connected);
  mirror.start();
  ASSERT_TRUE(mirror.wait_for_revision(put("/m/last", "v"), kPatience));
  EXPECT_EQ(recorder_.state(), truth());
  EXPECT_EQ(mirror.status().keys, kKeys + 1U);
  EXPECT_EQ(to_state(mirror.list("/m/0000")).size(), 10U);
  EXPECT_EQ(mirror.find("/m/last")->value, "v");
  EXPECT_EQ(mirror.find("/n"), std::nullopt);
}

TEST_F(MirrorTest, ARevisionIsOneBatch) {
  Mirror mirror(*client_, "/m/", recorder_.on_batch(), kTimes);
  mirror.start();
  ASSERT_TRUE(mirror.wait_for_revision(put("/m/1", "a"), kPatience));
  const auto done =
      client_->txn({.compares = {},
                    .puts = {{.key = "/m/2", .value = "b", .lease = 0}, {.key = "/n", .value = "c", .lease = 0}},
                    .erases = {{.key = "/m/1"}, {.key = "/m/none"}},
                    .ranges_else = {}});
  ASSERT_TRUE(done.ok());
  ASSERT_TRUE(mirror.wait_for_revision(done->revision, kPatience));
  const Batch batch = recorder_.batches().back();
  EXPECT_EQ(batch.revision, done->revision);
  ASSERT_EQ(batch.changes.size(), 2U);
  EXPECT_EQ(batch.changes[0].key, "/m/1");
  EXPECT_EQ(batch.changes[0].before->value, "a");
  EXPECT_EQ(batch.changes[0].after, std::nullopt);
  EXPECT_EQ(batch.changes[1].key, "/m/2");
  EXPECT_EQ(batch.changes[1].before, std::nullopt);
  EXPECT_EQ(batch.changes[1].after->value, "b");
  EXPECT_EQ(batch.changes[1].after->mod_revision, done->revision);
}

TEST_F(MirrorTest, ARevisionThatDidNotTouchThePrefixIsWaitedForAsWell) {
  Mirror mirror(*client_, "/m/", recorder_.on_batch(), kTimes);
  mirror.start();
  ASSERT_TRUE(mirror.wait_for_revision(put("/m/1", "a"), kPatience));
  const std::int64_t revision = put("/n", "elsewhere");
  EXPECT_TRUE(mirror.wait_for_revision(revision, kPatience));
  EXPECT_GE(mirror.status().revision, revision);
  EXPECT_FALSE(mirror.wait_for_revision(revision + 1, 100ms));
  // What was made and unmade meanwhile is not seen twice, and what comes then is not missed.
  ASSERT_TRUE(mirror.wait_for_revision(put("/m/1", "b"), kPatience));
  EXPECT_EQ(recorder_.state(), truth());
}

TEST_F(MirrorTest, ASeedIsThereAtOnceAndIsPutRightByTheFirstBatch) {
  put("/m/same", "s");
  put("/m/changed", "old");
  put("/m/gone", "g");
  const auto seen = client_->range("/m/", 0, 0);
  ASSERT_TRUE(seen.ok());
  put("/m/changed", "new");
  ASSERT_TRUE(client_->erase_prefix("/m/gone").ok());
  const std::int64_t revision = put("/m/new", "n");
  std::vector<Batch> batches;
  Mirror mirror(
      *client_, "/m/", [&](const Batch& batch) { batches.push_back(batch); }, kTimes);
  mirror.seed(seen->items, seen->revision);
  EXPECT_EQ(mirror.find("/m/gone")->value, "g");
  EXPECT_EQ(mirror.status().revision, seen->revision);
  EXPECT_FALSE(mirror.wait_for_revision(seen->revision, 50ms)) << "etcd has not said so";
  mirror.start();
  ASSERT_TRUE(mirror.wait_for_revision(revision, kPatience));
  mirror.stop();
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_TRUE(batches[0].is_first);
  std::vector<std::string> changed;
  for (const Change& change : batches[0].changes) changed.push_back(change.key);
  EXPECT_EQ(changed, (std::vector<std::string>{"/m/changed", "/m/gone", "/m/new"}));
  EXPECT_EQ(mirror.status().relists, 0U);
}

TEST_F(MirrorTest, AfterAKillItGoesOnWhereItWas) {
  Mirror mirror(*client_, "/m/", recorder_.on_batch(), kTimes);
  mirror.start();
  ASSERT_TRUE(mirror.wait_for_revision(put("/m/1", "a"), kPatience));
  server_->kill();
  server_->start();
  server_->wait_ready();
  auto other = open(server_->options());
  const auto revision = other->put({.key = "/m/2", .value = "b", .lease = 0});
  ASSERT_TRUE(revision.ok()) << revision.error().message;
  ASSERT_TRUE(mirror.wait_for_revision(*revision, kPatience));
  EXPECT_EQ(recorder_.state(), (State{{"/m/1", "a"}, {"/m/2", "b"}}));
  EXPECT_EQ(mirror.status().relists, 0U) << "the watch had all of it";
}

TEST_F(MirrorTest, WhatWasCompactedWhileItWasAwayComesAsADifference) {
  put("/m/gone", "g");
  Mirror mirror(*client_, "/m/", recorder_.on_batch(), kTimes);
  mirror.start();
  ASSERT_TRUE(mirror.wait_for_revision(put("/m/1", "a"), kPatience));
  recorder_.hold();
  put("/m/1", "held here");
  ASSERT_TRUE(recorder_.wait_key("/m/1", "held here"));
  server_->kill();
  server_->start();
  server_->wait_ready();
  const auto other = open(server_->options());
  ASSERT_TRUE(other->erase_prefix("/m/gone").ok());
  const auto revision = other->put({.key = "/m/2", .value = "b", .lease = 0});
  ASSERT_TRUE(revision.ok());
  server_->ctl({"compact", std::to_string(*revision)});
  recorder_.release();
  ASSERT_TRUE(mirror.wait_for_revision(*revision, kPatience));
  EXPECT_EQ(recorder_.state(), (State{{"/m/1", "held here"}, {"/m/2", "b"}}));
  EXPECT_EQ(mirror.status().relists, 1U);
}

TEST_F(MirrorTest, AMirrorTooSlowForTheCompactorReadsAgain) {
  Mirror mirror(*client_, "/m/", recorder_.on_batch(), kTimes);
  mirror.start();
  ASSERT_TRUE(mirror.wait_for_revision(put("/m/gone", "g"), kPatience));
  recorder_.hold();
  put("/m/1", "held here");
  ASSERT_TRUE(recorder_.wait_key("/m/1", "held here"));
  ASSERT_TRUE(client_->erase_prefix("/m/gone").ok());
  // More than a watch keeps for one that does not read: 1024 answers and the window of the connection.
  const std::string value(64 * 1024, 'v');
  for (int i = 0; i < 1500; ++i) put("/m/big", value);
  const std::int64_t revision = put("/m/2", "b");
  server_->ctl({"compact", std::to_string(revision)});
  recorder_.release();
  ASSERT_TRUE(mirror.wait_for_revision(revision, kPatience));
  EXPECT_EQ(recorder_.state(), truth());
  EXPECT_GE(mirror.status().relists, 1U);
}

TEST_F(MirrorTest, WhatComesInFragmentsIsPutTogether) {
  put("/m/0", "0");
  Mirror mirror(*client_, "/m/", recorder_.on_batch(), kTimes);
  mirror.start();
  ASSERT_TRUE(mirror.wait_for_revision(put("/m/1", "a"), kPatience));
  recorder_.hold();
  put("/m/1", "held here");
  ASSERT_TRUE(recorder_.wait_key("/m/1", "held here"));
  server_->kill();
  server_->start();
  server_->wait_ready();
  // Twelve megabytes in revisions of twelve keys each come as one answer, in parts that end within a revision.
  const auto other = open(server_->options());
  std::int64_t revision = 0;
  for (int i = 0; i < 10; ++i) {
    Txn txn;
    for (int j = 0; j < 12; ++j)
      txn.puts.push_back({.key = fmt::format("/m/big/{:02}", j),
                          .value = std::string(100'000, static_cast<char>('a' + i)),
                          .lease = 0});
    const auto done = other->txn(txn);
    ASSERT_TRUE(done.ok()) << done.error().message;
    revision = done->revision;
  }
  recorder_.release();
  ASSERT_TRUE(mirror.wait_for_revision(revision, kPatience));
  const std::vector<Batch> batches = recorder_.batches();
  ASSERT_GE(batches.size(), 10U);
  for (std::size_t i = batches.size() - 10; i < batches.size(); ++i) EXPECT_EQ(batches[i].changes.size(), 12U) << i;
  EXPECT_EQ(mirror.status().relists, 0U);
  ASSERT_TRUE(other->erase_prefix("/m/big/").ok());
  EXPECT_TRUE(recorder_.wait_state({{"/m/0", "0"}, {"/m/1", "held here"}}));
}

TEST_F(MirrorTest, CompactionWhileItIsConnectedChangesNothing) {
  Mirror mirror(*client_, "/m/", recorder_.on_batch(), kTimes);
  mirror.start();
  std::int64_t revision = 0;
  for (int i = 0; i < 20; ++i) revision = put("/m/1", std::to_string(i));
  ASSERT_TRUE(mirror.wait_for_revision(revision, kPatience));
  server_->ctl({"compact", std::to_string(revision)});
  ASSERT_TRUE(mirror.wait_for_revision(put("/m/2", "b"), kPatience));
  EXPECT_EQ(recorder_.state(), truth());
  EXPECT_EQ(mirror.status().relists, 0U);
}

TEST_F(MirrorTest, AFrozenServerIsNoticedAndTakenUpAgain) {
  Mirror mirror(*client_, "/m/", recorder_.on_batch(), kTimes);
  mirror.start();
  ASSERT_TRUE(mirror.wait_for_revision(put("/m/1", "a"), kPatience));
  server_->freeze();
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (mirror.status().connected && std::chrono::steady_clock::now() < end) mirror.wait_for_revision(1'000'000, 50ms);
  EXPECT_FALSE(mirror.status().connected);
  EXPECT_NE(mirror.status().message, "");
  server_->thaw();
  const auto revision = open(server_->options())->put({.key = "/m/2", .value = "b", .lease = 0});
  ASSERT_TRUE(revision.ok()) << revision.error().message;
  EXPECT_TRUE(mirror.wait_for_revision(*revision, kPatience));
}

TEST_F(MirrorTest, StopsAtOnceWhateverItWaitsFor) {
  server_->freeze();
  Mirror mirror(*client_, "/m/", recorder_.on_batch(), kTimes);
  mirror.start();
  const auto asked = std::chrono::steady_clock::now();
  mirror.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - asked, 1s);
  EXPECT_FALSE(mirror.wait_for_revision(1, kPatience));
  EXPECT_TRUE(recorder_.batches().empty());
  server_->thaw();
}

}  // namespace
}  // namespace millrace::control::etcd
