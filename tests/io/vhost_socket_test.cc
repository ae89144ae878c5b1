// Guests that keep DPDK's one thread for all guests waiting: with a message that does not come, or answers that they do
// not read.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <span>
#include <string>

#include "datapath/io/wait_budget.h"
#include "tests/io/hostile_guest.h"
#include "tests/io/raw_guest.h"
#include "tests/io/vhost_rig.h"

namespace millrace::tests {
namespace {

using datapath::io::WaitBudget;
using Clock = WaitBudget::Clock;
using std::chrono::milliseconds;

TEST(WaitBudget, IsSpentInAWindowAndThereAnew) {
  WaitBudget budget;
  const Clock::time_point begin = Clock::now();
  EXPECT_EQ(budget.left(begin), WaitBudget::kWait);
  budget.spend(milliseconds(30));
  EXPECT_EQ(budget.left(begin + milliseconds(30)), WaitBudget::kWait - milliseconds(30));
  budget.spend(milliseconds(100));
  EXPECT_EQ(budget.left(begin + milliseconds(130)), Clock::duration::zero());
  EXPECT_EQ(budget.left(begin + WaitBudget::kWindow - milliseconds(1)), Clock::duration::zero());
  EXPECT_EQ(budget.left(begin + WaitBudget::kWindow), WaitBudget::kWait);
}

constexpr RawGuest::Header kHeader{RawGuest::kSetVringNum, RawGuest::kVersion | RawGuest::kNeedsReply, 8};
const RawGuest::Words kRing = {0, 256};

/// A port whose guests are slow, and another's.
class VhostSocket : public testing::Test {
 protected:
  void expect_bystander_served() {
    EXPECT_TRUE(wait_for(*other_port_, true));
    EXPECT_TRUE(bystander_.name_ring_again(0));
  }
  const Directory directory_;
  const std::string path_ = directory_.path + "/slow.sock";
  const std::unique_ptr<MbufPool> pool_ = make_pool(4096);
  const std::unique_ptr<VhostPort> other_port_ = open_vhost(*pool_, directory_.path + "/bystander.sock");
  HostileGuest bystander_{directory_.path + "/bystander.sock"};
};

TEST_F(VhostSocket, AHeaderWithoutItsPayloadKeepsNobody) {
  const auto port = open_vhost(*pool_, path_);
  RawGuest guest(path_);
  ASSERT_TRUE(guest.send(kHeader));
  expect_bystander_served();
  EXPECT_TRUE(guest.is_hung_up_on());
}

TEST_F(VhostSocket, NorDoesOneOfAGuestThatListens) {
  RawGuest::Listener listener(path_);
  const auto port = open_vhost(*pool_, path_, true);
  RawGuest guest = listener.accept();
  ASSERT_TRUE(guest.send(kHeader));
  expect_bystander_served();
  EXPECT_TRUE(guest.is_hung_up_on());
}

TEST_F(VhostSocket, OneThatComesAgainAndAgainIsWaitedForNoLonger) {
  const auto port = open_vhost(*pool_, path_);
  constexpr int kConnections = 100;
  Clock::time_point begin;
  for (int i = 0; i < kConnections; ++i) {
    if (i == 1) begin = Clock::now();  // DPDK sees a socket to listen at after a second
    RawGuest guest(path_);
    ASSERT_TRUE(guest.send(kHeader)) << i;
    ASSERT_TRUE(guest.is_hung_up_on()) << i;
  }
  EXPECT_LT(Clock::now() - begin, kConnections * WaitBudget::kWait / 2);
  EXPECT_EQ(port->status().refusals, static_cast<std::uint64_t>(kConnections));
  expect_bystander_served();
  RawGuest honest(path_);
  ASSERT_TRUE(honest.send(kHeader, kRing));
  EXPECT_EQ(honest.answer(), 0u) << "what comes whole needs no waiting";
}

TEST_F(VhostSocket, AMessageMayComeInPieces) {
  const auto port = open_vhost(*pool_, path_);
  RawGuest guest(path_);
  const auto payload = std::as_bytes(std::span(kRing));
  for (const auto piece : {std::as_bytes(std::span(&kHeader, 1)), payload.first(3), payload.subspan(3)}) {
    ASSERT_TRUE(guest.send(piece));
    ASSERT_TRUE(step_until([] {}, [&] { return guest.is_all_read(); }));
  }
  EXPECT_EQ(guest.answer(), 0u);
}

TEST_F(VhostSocket, AnswersThatAreNotReadKeepNobody) {
  const auto port = open_vhost(*pool_, path_);
  RawGuest guest(path_);
  int asked = 0;
  while (asked < 100'000 && guest.send({RawGuest::kGetFeatures, RawGuest::kVersion, 0})) ++asked;
  const int why = errno;
  EXPECT_LT(asked, 100'000);
  EXPECT_TRUE(why == EPIPE || why == ECONNRESET) << std::strerror(why);
  EXPECT_TRUE(guest.is_hung_up_on());
  expect_bystander_served();
}

}  // namespace
}  // namespace millrace::tests
