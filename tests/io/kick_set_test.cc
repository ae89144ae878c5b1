// KickSet with eventfds as a guest has them: one descriptor tells of all of them, once a kick.
#include "datapath/io/kick_set.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace millrace::tests {
namespace {

using datapath::io::KickSet;

class Kick {
 public:
  ~Kick() { ::close(fd_); }
  int fd() const { return fd_; }
  void kick() const { ::eventfd_write(fd_, 1); }

 private:
  const int fd_ = ::eventfd(0, EFD_CLOEXEC);  // one that blocks who reads it
};

bool is_readable(const KickSet& set) {
  pollfd asked{set.descriptor(), POLLIN, 0};
  return ::poll(&asked, 1, 0) == 1;
}

TEST(KickSet, TellsOfEachKickOnce) {
  const auto set = KickSet::create();
  ASSERT_NE(set, nullptr);
  EXPECT_FALSE(is_readable(*set));
  const Kick one, other;
  set->set(0, one.fd());
  set->set(5, other.fd());
  EXPECT_TRUE(is_readable(*set)) << "that they are there now";
  EXPECT_EQ(set->pairs(), 0x21u);
  EXPECT_TRUE(set->is_complete());
  set->drain();
  EXPECT_FALSE(is_readable(*set));
  for (const Kick* kick : {&one, &other, &one}) {
    kick->kick();
    EXPECT_TRUE(is_readable(*set)) << "the count was not read, and a kick is seen all the same";
    set->drain();
    EXPECT_FALSE(is_readable(*set));
  }
}

TEST(KickSet, SeesAKickThatCameBeforeIt) {
  const auto set = KickSet::create();
  const Kick early;
  early.kick();
  set->set(0, early.fd());
  set->drain();
  EXPECT_FALSE(is_readable(*set)) << "it was told together with the change";
  early.kick();
  EXPECT_TRUE(is_readable(*set));
}

TEST(KickSet, HearsNothingOfAQueueThatWent) {
  const auto set = KickSet::create();
  const Kick gone, stays;
  set->set(0, gone.fd());
  set->set(1, stays.fd());
  const std::uint32_t before = set->changes();
  set->clear(0);
  EXPECT_NE(set->changes(), before);
  EXPECT_TRUE(is_readable(*set)) << "a change, too, is told";
  set->drain();
  gone.kick();
  EXPECT_FALSE(is_readable(*set)) << "though the guest has the eventfd still";
  stays.kick();
  EXPECT_TRUE(is_readable(*set));
  set->clear_all();
  EXPECT_EQ(set->pairs(), 0u);
  set->drain();
  stays.kick();
  EXPECT_FALSE(is_readable(*set));
}

TEST(KickSet, TakesAnotherEventfdForAQueue) {
  const auto set = KickSet::create();
  const Kick before, after;
  set->set(0, before.fd());
  set->set(0, after.fd());
  set->drain();
  before.kick();
  EXPECT_FALSE(is_readable(*set));
  after.kick();
  EXPECT_TRUE(is_readable(*set));
}

TEST(KickSet, IsNotCompleteWithoutAnEventfd) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  for (const int kick : {-1, ends[0], 1 << 20}) {
    SCOPED_TRACE(kick);
    const auto set = KickSet::create();
    set->set(0, kick);
    EXPECT_EQ(set->pairs(), 1u);
    EXPECT_FALSE(set->is_complete()) << "a guest may hand over what it likes";
    set->clear(0);
    EXPECT_TRUE(set->is_complete());
  }
  for (const int end : ends) ::close(end);
}

TEST(KickSet, AWakeIsToldAndCounted) {
  const auto set = KickSet::create();
  const std::uint32_t before = set->changes();
  set->wake();
  EXPECT_TRUE(is_readable(*set));
  EXPECT_NE(set->changes(), before);
}

}  // namespace
}  // namespace millrace::tests
