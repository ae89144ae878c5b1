// GuestCalls with eventfds as guests have them: full, empty, waited on, and no eventfds at all.
#include "datapath/io/guest_calls.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

namespace millrace::tests {
namespace {

using datapath::io::GuestCalls;

constexpr eventfd_t kFull = ~eventfd_t{0} - 1;

/// One that keeps who writes to it waiting when it is full.
class Called {
 public:
  explicit Called(eventfd_t count = 0) {
    if (count != 0) ::eventfd_write(fd_, count);
  }
  ~Called() { ::close(fd_); }
  int fd() const { return fd_; }
  eventfd_t take() const {
    eventfd_t count = 0;
    return ::eventfd_read(fd_, &count) == 0 ? count : 0;
  }

 private:
  const int fd_ = ::eventfd(0, EFD_CLOEXEC);
};

class GuestCallsTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(GuestCalls::open()); }
};

TEST_F(GuestCallsTest, OpensOnce) { EXPECT_TRUE(GuestCalls::open()); }

TEST_F(GuestCallsTest, EachIsCounted) {
  constexpr eventfd_t kCalls = 5000;  // many times what the kernel keeps the ends of
  const Called guest;
  for (eventfd_t i = 0; i < kCalls; ++i) ASSERT_EQ(GuestCalls::call(guest.fd()), 0) << i;
  EXPECT_EQ(guest.take(), kCalls);
}

TEST_F(GuestCallsTest, OneThatIsFullKeepsNobody) {
  const Called guest(kFull);
  auto done = std::async(std::launch::async, [&] { return GuestCalls::call(guest.fd()); });
  const bool is_in_time = done.wait_for(std::chrono::seconds(5)) == std::future_status::ready;
  const eventfd_t count = guest.take();  // before done.get(), which would wait for it
  EXPECT_TRUE(is_in_time);
  EXPECT_EQ(done.get(), 0);
  EXPECT_GE(count, kFull) << "and loses nothing";
  EXPECT_EQ(GuestCalls::call(guest.fd()), 0);
  EXPECT_EQ(guest.take(), 1u) << "it is called again";
}

TEST_F(GuestCallsTest, WhoWritesOneIsWrapped) {
  const Called guest(kFull);
  auto done = std::async(std::launch::async, [&] { return ::eventfd_write(guest.fd(), 1); });
  const bool is_in_time = done.wait_for(std::chrono::seconds(5)) == std::future_status::ready;
  guest.take();
  EXPECT_TRUE(is_in_time);
  EXPECT_EQ(done.get(), 0);
}

TEST_F(GuestCallsTest, AnotherNumberIsWrittenAsEver) {
  const Called guest;
  EXPECT_EQ(::eventfd_write(guest.fd(), 7), 0);
  EXPECT_EQ(guest.take(), 7u);
}

TEST_F(GuestCallsTest, WakesWhoWaits) {
  const Called guest;
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  ASSERT_EQ(::epoll_ctl(set, EPOLL_CTL_ADD, guest.fd(), &event), 0);
  auto woken = std::async(std::launch::async, [&] { return ::epoll_wait(set, &event, 1, 5000); });
  EXPECT_EQ(GuestCalls::call(guest.fd()), 0);
  EXPECT_EQ(woken.get(), 1);
  EXPECT_EQ(GuestCalls::call(guest.fd()), 0);
  EXPECT_EQ(::epoll_wait(set, &event, 1, 0), 1) << "each call is one more edge";
  ::close(set);
}

TEST_F(GuestCallsTest, WhatIsNoEventfdIsNotCalled) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC), 0);
  EXPECT_EQ(GuestCalls::call(ends[1]), -1);
  EXPECT_EQ(errno, EINVAL);
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), -1) << "nothing was written to it";
  for (const int end : ends) ::close(end);
  EXPECT_EQ(GuestCalls::call(ends[1]), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST_F(GuestCallsTest, ManyThreadsShareWhatThereIs) {
  constexpr unsigned kThreads = 3 * GuestCalls::kContexts;
  constexpr unsigned kCalls = 1000;
  const Called guest;
  std::atomic<unsigned> failed{0};
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (unsigned call = 0; call < kCalls; ++call) {
        if (GuestCalls::call(guest.fd()) != 0) failed.fetch_add(1);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(failed.load(), 0u);
  EXPECT_EQ(guest.take(), kThreads * kCalls);
}

}  // namespace
}  // namespace millrace::tests
