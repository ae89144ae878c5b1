// A client, a mirror and a lease over three members: the leader dies, a member is cut off, a member hangs.
#include <gtest/gtest.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>

#include "control/etcd/lease.h"
#include "control/etcd/mirror.h"
#include "tests/etcd/cluster.h"
#include "tests/etcd/recorder.h"

namespace millrace::control::etcd {
namespace {

using net::ErrorCode;
using namespace std::chrono_literals;

constexpr std::chrono::seconds kPatience = Recorder::kPatience;
constexpr MirrorTimes kTimes{.silence = 500ms, .answer = 1s, .first_backoff = 20ms, .last_backoff = 200ms};

class ClusterTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: members in network namespaces of their own";
    cluster_ = std::make_unique<Cluster>();
    ASSERT_FALSE(HasFailure());
    // The endpoints begin with the member that the test will trouble.
    leader_ = cluster_->leader();
    Options options = cluster_->options(1500ms);
    std::rotate(options.endpoints.begin(), options.endpoints.begin() + leader_, options.endpoints.end());
    client_ = open(options);
    mirror_ = std::make_unique<Mirror>(*client_, "/m/", recorder_.on_batch(), kTimes);
    mirror_->start();
    lease_ = std::make_unique<Lease>(*client_, 3s, [this](std::int64_t id) {
      ++grants_;
      put("/m/node", "here", id);
    });
    ASSERT_TRUE(recorder_.wait_key("/m/node", "here"));
    ASSERT_TRUE(mirror_->wait_for_revision(put("/m/1", "before"), kPatience));
  }
  void TearDown() override {
    lease_.reset();
    mirror_.reset();
    client_.reset();
    cluster_.reset();
  }

  /// As a careful caller does it: what was surely not done is done again, and of what may have been done it is looked
  /// up.
  std::int64_t put(const std::string& key, const std::string& value, std::int64_t lease = 0) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    net::Error why;
    while (std::chrono::steady_clock::now() < end) {
      const auto done = client_->put({.key = key, .value = value, .lease = lease});
      if (done.ok()) return *done;
      why = done.error();
      EXPECT_TRUE(why.code == ErrorCode::kUnavailable || why.code == ErrorCode::kDeadlineExceeded) << why.message;
      if (why.code != ErrorCode::kDeadlineExceeded) continue;
      const auto now = client_->get(key);
      if (now.ok() && now->has_value() && (*now)->value == value) return (*now)->mod_revision;
    }
    ADD_FAILURE() << why.message;
    return 0;
  }
  State truth() {
    const auto range = client_->range("/m/", 0, 0);
    EXPECT_TRUE(range.ok()) << range.error().message;
    return range.ok() ? to_state(range->items) : State{};
  }
  void expect_all_is_well() {
    ASSERT_TRUE(mirror_->wait_for_revision(put("/m/1", "after"), kPatience)) << mirror_->status().message;
    EXPECT_EQ(recorder_.state(), truth());
    EXPECT_TRUE(truth().contains("/m/node"));
    EXPECT_TRUE(lease_->is_alive());
    EXPECT_EQ(mirror_->status().relists, 0U);
    EXPECT_EQ(grants_, 1);
  }

  std::unique_ptr<Cluster> cluster_;
  int leader_ = 0;
  std::unique_ptr<Client> client_;
  Recorder recorder_;
  std::unique_ptr<Mirror> mirror_;
  std::atomic<int> grants_ = 0;
  std::unique_ptr<Lease> lease_;
};

TEST_F(ClusterTest, TheLeaderIsKilled) {
  cluster_->member(leader_).kill();
  expect_all_is_well();
}

TEST_F(ClusterTest, TheLeaderHangs) {
  cluster_->member(leader_).freeze();
  expect_all_is_well();
  cluster_->member(leader_).thaw();
}

TEST_F(ClusterTest, TheMemberInUseIsCutOffFromTheOthers) {
  cluster_->cut(leader_);
  expect_all_is_well();
  // It still answers its clients, and says that it has no leader: nobody believes what it knows.
  Options alone = cluster_->options(1s);
  alone.endpoints = {alone.endpoints[static_cast<std::size_t>(leader_)]};
  const auto client = open(alone);
  const auto got = client->get("/m/1");
  EXPECT_EQ(got.error().code, ErrorCode::kUnavailable) << got.error().message;
  EXPECT_EQ(client->put({.key = "/m/1", .value = "lost", .lease = 0}).error().code, ErrorCode::kUnavailable);
  cluster_->join(leader_);
  cluster_->member(leader_).wait_ready();
  expect_all_is_well();
}

TEST_F(ClusterTest, AMajorityIsGoneAndComesBack) {
  const int one = (leader_ + 1) % Cluster::kMembers, two = (leader_ + 2) % Cluster::kMembers;
  cluster_->member(one).kill();
  cluster_->member(two).kill();
  const auto put_now = client_->put({.key = "/m/2", .value = "v", .lease = 0});
  EXPECT_FALSE(put_now.ok());
  EXPECT_FALSE(client_->get("/m/1").ok());
  EXPECT_EQ(mirror_->find("/m/1")->value, "before") << "the mirror keeps what it knew";
  cluster_->member(one).start();
  put("/m/1", "after");
  ASSERT_TRUE(recorder_.wait_key("/m/1", "after"));
  // What may have been done in doubt is the same for everybody now.
  ASSERT_TRUE(mirror_->wait_for_revision(put("/m/3", "v"), kPatience));
  EXPECT_EQ(recorder_.state(), truth());
}

}  // namespace
}  // namespace millrace::control::etcd
