// The socket of a virtio-user device before it is made: what is left of a killed generator goes, all else stays.
#include "perf/gen/device/virtio_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace millrace::perf::gen {
namespace {

class VirtioSocket : public testing::Test {
 protected:
  VirtioSocket() {
    std::string name = "/tmp/millrace-gen-socket-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    path_ = directory_ + "/vh0.sock";
  }
  ~VirtioSocket() override { std::filesystem::remove_all(directory_); }
  /// A listener; the file stays when it is closed.
  int listener() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd, 1), 0);
    return fd;
  }
  std::string client() const { return "net_virtio_user0,path=" + path_ + ",queue_size=1024"; }
  std::string server() const { return client() + ",server=1"; }

  std::string directory_, path_;
};

TEST_F(VirtioSocket, WhatAProgramLeftThatHasEndedIsRemoved) {
  ::close(listener());
  ASSERT_TRUE(std::filesystem::exists(path_));
  EXPECT_TRUE(prepare_virtio_socket(server()).ok());
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_TRUE(prepare_virtio_socket(server()).ok()) << "nothing is there";
}

TEST_F(VirtioSocket, OneThatIsServedStaysAndSeesNobody) {
  const int fd = listener();
  const auto refused = prepare_virtio_socket(server());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message,
            "--port net_virtio_user0: another program serves " + path_ + ": end it, or name another path");
  EXPECT_TRUE(std::filesystem::exists(path_));
  EXPECT_EQ(::accept(fd, nullptr, nullptr), -1);
  EXPECT_EQ(errno, EAGAIN) << "no client came";
  ::close(fd);
}

TEST_F(VirtioSocket, AFileThatIsNoSocketStays) {
  std::ofstream(path_) << "notes";
  const auto refused = prepare_virtio_socket(server());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "--port net_virtio_user0: " + path_ + " is there and is no socket");
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(VirtioSocket, AClientNeedsTheSwitchsSocketAndLeavesIt) {
  const auto refused = prepare_virtio_socket(client());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "--port net_virtio_user0: there is no " + path_ +
                                         ": start the switch first, or say server=1 and it comes to this end");
  const int fd = listener();
  EXPECT_TRUE(prepare_virtio_socket(client()).ok());
  EXPECT_TRUE(std::filesystem::exists(path_));
  ::close(fd);
}

TEST_F(VirtioSocket, OtherDevicesHaveNone) {
  for (const char* const device : {"net_ring0", "net_null0", "0000:3b:00.0", "net_pcap0,rx_pcap=/nowhere,server=1"}) {
    EXPECT_TRUE(prepare_virtio_socket(device).ok()) << device;
  }
}

}  // namespace
}  // namespace millrace::perf::gen
