// A lease against a real etcd: kept alive, lost in every way there is, given back.
#include "control/etcd/lease.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "control/etcd/mirror.h"
#include "tests/etcd/recorder.h"
#include "tests/etcd/server.h"

namespace millrace::control::etcd {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds kPatience = Recorder::kPatience;

/// The owner of a leased key: puts it as often as there is a new lease.
class Owner {
 public:
  explicit Owner(Client& client, std::chrono::seconds ttl = 1s)
      : client_(client), lease_(client, ttl, [this](std::int64_t id) { take(id); }) {}

  bool wait_grants(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return ids_.size() >= count; });
  }
  std::vector<std::int64_t> ids() const {
    const std::lock_guard lock(mutex_);
    return ids_;
  }
  Lease& lease() { return lease_; }

 private:
  void take(std::int64_t id) {
    EXPECT_TRUE(client_.put({.key = "/nodes/one", .value = "here", .lease = id}).ok());
    const std::lock_guard lock(mutex_);
    ids_.push_back(id);
    changed_.notify_all();
  }

  Client& client_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::int64_t> ids_;
  Lease lease_;  // last: its thread uses all above
};

class LeaseTest : public testing::Test {
 protected:
  void SetUp() override {
    server_ = start_server();
    client_ = open(server_->options());
    mirror_ = std::make_unique<Mirror>(*client_, "/nodes/", recorder_.on_batch());
    mirror_->start();
  }
  void TearDown() override { mirror_.reset(); }

  bool wait_alive(Lease& lease, bool is_alive) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (lease.is_alive() != is_alive) {
      if (std::chrono::steady_clock::now() > end) return false;
      mirror_->wait_for_revision(1'000'000, 20ms);
    }
    return true;
  }

  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
  Recorder recorder_;
  std::unique_ptr<Mirror> mirror_;
};

TEST_F(LeaseTest, ItsKeyIsThereAsLongAsItLivesAndGoesWithIt) {
  {
    Owner owner(*client_);
    ASSERT_TRUE(owner.wait_grants(1));
    EXPECT_TRUE(owner.lease().is_alive());
    EXPECT_EQ(owner.lease().id(), owner.ids()[0]);
    ASSERT_TRUE(recorder_.wait_key("/nodes/one", "here"));
    // Three times the TTL: it would be gone if nobody renewed it.
    EXPECT_FALSE(mirror_->wait_for_revision(1'000'000, 3s));
    EXPECT_EQ(recorder_.state(), (State{{"/nodes/one", "here"}}));
    EXPECT_TRUE(owner.lease().is_alive());
  }
  const auto left = client_->get("/nodes/one");
  ASSERT_TRUE(left.ok());
  EXPECT_FALSE(left->has_value()) << "revoked before the destructor returned";
  EXPECT_EQ(recorder_.batches().size(), 3U) << "nothing, the key, no key";
}

TEST_F(LeaseTest, RevokedByAnother) {
  Owner owner(*client_, 2s);
  ASSERT_TRUE(owner.wait_grants(1));
  server_->ctl({"lease", "revoke", fmt::format("{:x}", owner.ids()[0])});
  ASSERT_TRUE(recorder_.wait_state({}));
  ASSERT_TRUE(owner.wait_grants(2));
  EXPECT_TRUE(recorder_.wait_key("/nodes/one", "here"));
  EXPECT_NE(owner.ids()[0], owner.ids()[1]);
  EXPECT_TRUE(owner.lease().is_alive());
}

TEST_F(LeaseTest, AFrozenServerMakesItDoubtfulAndAThawedOneCertainAgain) {
  Owner owner(*client_);
  ASSERT_TRUE(owner.wait_grants(1));
  server_->freeze();
  EXPECT_TRUE(wait_alive(owner.lease(), false));
  server_->thaw();
  EXPECT_TRUE(wait_alive(owner.lease(), true));
  EXPECT_TRUE(recorder_.wait_key("/nodes/one", "here"));
}

TEST_F(LeaseTest, AServerWithoutItsDataGrantsAnother) {
  Owner owner(*client_);
  ASSERT_TRUE(owner.wait_grants(1));
  server_->kill();
  server_->forget();
  server_->start();
  server_->wait_ready();
  ASSERT_TRUE(owner.wait_grants(2));
  EXPECT_TRUE(client_->get("/nodes/one")->has_value());
}

TEST_F(LeaseTest, SurvivesAKillOfTheServer) {
  Owner owner(*client_, 2s);
  ASSERT_TRUE(owner.wait_grants(1));
  server_->kill();
  server_->start();
  server_->wait_ready();
  EXPECT_TRUE(wait_alive(owner.lease(), true));
  const auto key = client_->get("/nodes/one");
  ASSERT_TRUE(key.ok()) << key.error().message;
  ASSERT_TRUE(key->has_value());
  EXPECT_EQ((*key)->lease, owner.lease().id());
}

TEST_F(LeaseTest, IsGivenUpWithinItsBoundWhenNobodyAnswers) {
  auto owner = std::make_unique<Owner>(*client_);
  ASSERT_TRUE(owner->wait_grants(1));
  server_->freeze();
  const auto asked = std::chrono::steady_clock::now();
  owner.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - asked, Lease::kRevokeTimeout + 500ms);
  server_->thaw();
  EXPECT_TRUE(recorder_.wait_state({})) << "it goes by itself";
}

}  // namespace
}  // namespace millrace::control::etcd
