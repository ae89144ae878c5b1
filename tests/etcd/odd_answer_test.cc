// Answers that a real etcd cannot be made to give: nothing of them is taken, nothing breaks, and what is right
// afterwards is.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <limits>
#include <mutex>

#include "control/etcd/lease.h"
#include "control/etcd/mirror.h"
#include "tests/etcd/fake_etcd.h"
#include "tests/etcd/recorder.h"
#include "tests/etcd/server.h"

namespace millrace::control::etcd {
namespace {

using namespace std::chrono_literals;
using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;
using etcdserverpb::WatchResponse;
using net::ErrorCode;

constexpr MirrorTimes kTimes{.silence = 10s, .answer = 10s, .first_backoff = 5ms, .last_backoff = 20ms};
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min(), kMax = std::numeric_limits<std::int64_t>::max();

void add(RangeResponse* response, const std::string& key, std::int64_t revision) {
  mvccpb::KeyValue& item = *response->add_kvs();
  item.set_key(key);
  item.set_mod_revision(revision);
  response->set_count(response->count() + 1);
}

TEST(OddAnswer, ARangeThatIsNoAnswerToTheQuestionIsRefused) {
  const struct {
    const char* name;
    std::function<void(RangeResponse*)> spoil;
  } rows[] = {
      {"no header", [](RangeResponse* to) { to->clear_header(); }},
      {"a revision below zero", [](RangeResponse* to) { to->mutable_header()->set_revision(kMin); }},
      {"a revision that has no next", [](RangeResponse* to) { to->mutable_header()->set_revision(kMax); }},
      {"a key of another prefix", [](RangeResponse* to) { add(to, "/other", 3); }},
      {"an empty key", [](RangeResponse* to) { add(to, "", 3); }},
      {"keys out of order", [](RangeResponse* to) { add(to, "/m/2", 3), add(to, "/m/1", 3); }},
      {"a key twice", [](RangeResponse* to) { add(to, "/m/1", 3), add(to, "/m/1", 3); }},
      {"a key without a revision", [](RangeResponse* to) { add(to, "/m/1", 0); }},
      {"a key of a revision below zero", [](RangeResponse* to) { add(to, "/m/1", kMin); }},
      {"more, and nothing now", [](RangeResponse* to) { to->set_more(true); }},
      {"fewer than no keys", [](RangeResponse* to) { to->set_count(kMin); }},
  };
  FakeEtcd fake;
  const auto client = open(fake.options());
  for (const auto& row : rows) {
    fake.set_range([&row](const RangeRequest&, RangeResponse* response) {
      row.spoil(response);
      return grpc::Status::OK;
    });
    const auto got = client->range("/m/", 0, 0);
    ASSERT_FALSE(got.ok()) << row.name;
    EXPECT_EQ(got.error().code, ErrorCode::kInternal) << row.name;
    EXPECT_NE(got.error().message.find(fake.options().endpoints[0]), std::string::npos) << got.error().message;
  }
}

TEST(OddAnswer, APageThatNeverEndsIsNotReadForEver) {
  FakeEtcd fake;
  fake.set_range(
      [](const RangeRequest&, RangeResponse* response) {  // always the first page, whatever page was asked for
        add(response, "/m/1", 3);
        response->set_more(true);
        return grpc::Status::OK;
      });
  const auto client = open(fake.options());
  Recorder recorder;
  Mirror mirror(*client, "/m/", recorder.on_batch(), kTimes);
  mirror.start();
  EXPECT_FALSE(mirror.wait_for_revision(1, 200ms));
  EXPECT_FALSE(mirror.status().connected);
  EXPECT_NE(mirror.status().message.find("not asked for"), std::string::npos) << mirror.status().message;
  EXPECT_TRUE(recorder.batches().empty());
}

/// A mirror that has read "/m/0" at revision 10 and then hears `lines` after the creation of its watch.
class OddWatch : public testing::Test {
 protected:
  void SetUp() override {
    fake_.set_range([](const RangeRequest&, RangeResponse* response) {
      add(response, "/m/0", 3);
      return grpc::Status::OK;
    });
    client_ = open(fake_.options());
    mirror_ = std::make_unique<Mirror>(*client_, "/m/", recorder_.on_batch(), kTimes);
  }
  /// The first watch hears `lines`, a second one `then`.
  void hear(const std::vector<WatchResponse>& lines, const std::vector<WatchResponse>& then = {}) {
    fake_.say(FakeEtcd::created(10));
    for (const WatchResponse& line : lines) fake_.say(line);
    fake_.say(FakeEtcd::created(10), 1);
    for (const WatchResponse& line : then) fake_.say(line, 1);
    mirror_->start();
  }
  void TearDown() override { mirror_.reset(); }

  FakeEtcd fake_;
  std::unique_ptr<Client> client_;
  Recorder recorder_;
  std::unique_ptr<Mirror> mirror_;
};

TEST_F(OddWatch, EventsThatAreNoneOfOursChangeNothing) {
  WatchResponse empty = FakeEtcd::line(11);
  empty.add_events();
  WatchResponse other_watch = FakeEtcd::put(12, "/m/other", "of another watch");
  other_watch.set_watch_id(99);
  WatchResponse never = FakeEtcd::put(13, "/m/1", "after the last revision");
  never.mutable_events(0)->mutable_kv()->set_mod_revision(kMax);
  WatchResponse odd_type = FakeEtcd::put(14, "/m/0", "neither put nor deleted");
  odd_type.mutable_events(0)->set_type(static_cast<mvccpb::Event::EventType>(77));
  hear({empty, other_watch, FakeEtcd::put(13, "/else/1", "of another prefix"), FakeEtcd::put(kMin, "/m/1", "long ago"),
        FakeEtcd::put(9, "/m/1", "read already"), odd_type, never, FakeEtcd::put(20, "/m/1", "right")});
  ASSERT_TRUE(recorder_.wait_key("/m/1", "right"));
  EXPECT_EQ(recorder_.state(), (State{{"/m/0", ""}, {"/m/1", "right"}}));
  EXPECT_TRUE(mirror_->status().connected);
}

TEST_F(OddWatch, AProgressAnswerThatOvertakesEventsIsNotBelieved) {
  WatchResponse overtaking = FakeEtcd::line(100);  // etcd before 3.4.25
  overtaking.set_watch_id(-1);
  hear({overtaking, FakeEtcd::put(50, "/m/1", "late")});
  ASSERT_TRUE(recorder_.wait_key("/m/1", "late"));
  EXPECT_TRUE(mirror_->wait_for_revision(50, 5s));
  EXPECT_EQ(mirror_->status().revision, 50);
}

TEST_F(OddWatch, TheProgressOfTheWatchItselfIsBelieved) {
  hear({FakeEtcd::line(100)});
  EXPECT_TRUE(mirror_->wait_for_revision(100, 5s));
  EXPECT_EQ(recorder_.batches().size(), 1U);
}

TEST_F(OddWatch, FragmentsWithinOneRevisionAreOneBatch) {
  WatchResponse first = FakeEtcd::put(11, "/m/1", "a");
  first.set_fragment(true);
  WatchResponse second = FakeEtcd::put(11, "/m/2", "b");
  second.set_fragment(true);
  hear({first, second, FakeEtcd::put(11, "/m/3", "c")});
  ASSERT_TRUE(mirror_->wait_for_revision(11, 5s));
  EXPECT_EQ(recorder_.batches().back().changes.size(), 3U);
}

TEST_F(OddWatch, HalfOfAnAnswerIsForgottenWithItsStream) {
  WatchResponse half = FakeEtcd::put(11, "/m/1", "half");
  half.set_fragment(true);
  WatchResponse canceled = FakeEtcd::line(11);
  canceled.set_canceled(true);
  hear({half, canceled}, {FakeEtcd::put(11, "/m/2", "whole"), FakeEtcd::line(12)});
  ASSERT_TRUE(mirror_->wait_for_revision(12, 5s));
  EXPECT_EQ(recorder_.state(), (State{{"/m/0", ""}, {"/m/2", "whole"}}));
  EXPECT_EQ(mirror_->status().relists, 0U);
}

TEST_F(OddWatch, AWatchThatCountsBeyondTheLastNumberIsLeft) {
  hear({FakeEtcd::line(kMax)}, {FakeEtcd::put(11, "/m/1", "then")});
  EXPECT_TRUE(recorder_.wait_key("/m/1", "then"));
  EXPECT_EQ(mirror_->status().relists, 0U);
}

TEST_F(OddWatch, ACancellationWithoutAReasonIsTriedAgain) {
  WatchResponse canceled = FakeEtcd::created(10);
  canceled.set_canceled(true);
  canceled.set_watch_id(-1);
  hear({canceled}, {FakeEtcd::put(11, "/m/1", "then")});
  EXPECT_TRUE(recorder_.wait_key("/m/1", "then"));
}

TEST_F(OddWatch, ARevisionCompactedInTheFarFutureIsReadAgain) {
  WatchResponse compacted = FakeEtcd::line(10);
  compacted.set_canceled(true);
  compacted.set_compact_revision(kMax);
  hear({compacted}, {FakeEtcd::put(11, "/m/1", "then")});
  EXPECT_TRUE(recorder_.wait_key("/m/1", "then"));
  EXPECT_EQ(mirror_->status().relists, 1U);
}

TEST_F(OddWatch, AnotherClusterBehindTheSameAddressIsReadAnew) {
  fake_.say(FakeEtcd::created(10));
  mirror_->start();
  ASSERT_TRUE(mirror_->wait_for_revision(10, 5s));
  fake_.set_range([](const RangeRequest&, RangeResponse* response) {
    response->mutable_header()->set_cluster_id(8);
    response->mutable_header()->set_revision(4000);
    add(response, "/m/9", 3000);
    return grpc::Status::OK;
  });
  fake_.say(FakeEtcd::line(4000, 8));
  fake_.say(FakeEtcd::created(4000, 8), 1);
  ASSERT_TRUE(recorder_.wait_state({{"/m/9", ""}}));
  EXPECT_EQ(mirror_->status().relists, 1U);
}

TEST_F(OddWatch, AMemberThatLagsIsWaitedFor) {
  WatchResponse lagging = FakeEtcd::created(2);
  fake_.say(lagging);
  mirror_->start();
  fake_.say(FakeEtcd::put(11, "/m/1", "it has caught up"));
  ASSERT_TRUE(recorder_.wait_key("/m/1", "it has caught up"));
  EXPECT_EQ(mirror_->status().relists, 0U);
}

TEST(OddCount, AClusterThatWasSetBackIsReadAnewUnderItsLowerRevision) {
  FakeEtcd fake;
  std::vector<Batch> batches;
  int asked = 0;
  fake.set_range([&](const RangeRequest&, RangeResponse* response) {
    // The first reading finds revision 10, all later ones a cluster that was restored from a backup.
    response->mutable_header()->set_revision(++asked == 1 ? 10 : 4);
    add(response, asked == 1 ? "/m/lost" : "/m/kept", 3);
    return grpc::Status::OK;
  });
  fake.say(FakeEtcd::created(4));
  fake.say(FakeEtcd::created(4), 1);
  fake.say(FakeEtcd::put(5, "/m/1", "counts anew"), 1);
  const auto client = open(fake.options());
  std::mutex mutex;
  std::condition_variable changed;
  Mirror mirror(
      *client, "/m/",
      [&](const Batch& batch) {
        const std::lock_guard lock(mutex);
        batches.push_back(batch);
        changed.notify_all();
      },
      kTimes);
  mirror.start();
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, Recorder::kPatience, [&] { return batches.size() == 3; }));
  }
  mirror.stop();
  EXPECT_EQ(batches[1].revision, 4);
  ASSERT_EQ(batches[1].changes.size(), 2U);
  EXPECT_EQ(batches[1].changes[0].key, "/m/kept");
  EXPECT_EQ(batches[1].changes[1].key, "/m/lost");
  EXPECT_FALSE(batches[1].changes[1].after.has_value());
  EXPECT_EQ(batches[2].revision, 5);
}

TEST(OddLease, GrantsThatAreNoneAreAskedForAgain) {
  FakeEtcd fake;
  std::atomic<int> asked = 0;
  fake.set_grant([&] {
    etcdserverpb::LeaseGrantResponse response;
    const int turn = ++asked;
    response.set_id(turn == 1 ? 0 : 7);
    response.set_ttl(turn == 2 ? -5 : 5);
    if (turn == 3) response.set_error("no");
    if (turn == 4) response.set_ttl(kMax);
    return response;
  });
  const auto client = open(fake.options());
  std::promise<std::int64_t> granted;
  Lease lease(*client, 1s, [&](std::int64_t id) { granted.set_value(id); });
  auto id = granted.get_future();
  ASSERT_EQ(id.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(id.get(), 7);
  EXPECT_EQ(asked, 4);
  EXPECT_TRUE(lease.is_alive());
}

TEST(OddLease, RenewalsThatAreNoneLoseIt) {
  FakeEtcd fake;
  std::atomic<std::int64_t> next_id = 7;
  fake.set_grant([&] {
    etcdserverpb::LeaseGrantResponse response;
    response.set_id(next_id++);
    response.set_ttl(1);
    return response;
  });
  fake.say_ttl(7, kMin);
  const auto client = open(fake.options());
  std::promise<void> again;
  Lease lease(*client, 1s, [&](std::int64_t id) {
    if (id == 8) again.set_value();
  });
  ASSERT_EQ(again.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_EQ(lease.id(), 8);
}

}  // namespace
}  // namespace millrace::control::etcd
