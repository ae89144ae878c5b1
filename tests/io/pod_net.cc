#include "tests/io/pod_net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

namespace millrace::tests {
namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

void set_in_proc(const std::string& path, const char* value) {
  std::ofstream file(path);
  if (!(file << value << std::flush)) throw std::runtime_error("cannot write " + path);
}

void silence_ipv6(const std::string& interface) {
  set_in_proc("/proc/sys/net/ipv6/conf/" + interface + "/disable_ipv6", "1");
}

}  // namespace

void shell(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

void enter_test_namespace() {
  static bool entered = false;
  if (entered) return;
  if (::unshare(CLONE_NEWNET) != 0) fail("unshare");
  entered = true;
}

Namespace::Namespace() {
  std::thread([this] {
    if (::unshare(CLONE_NEWNET) == 0) descriptor_ = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  }).join();
  if (descriptor_ < 0) fail("network namespace");
}

Namespace::~Namespace() { ::close(descriptor_); }

std::string Namespace::path() const { return fmt::format("/proc/{}/fd/{}", ::getpid(), descriptor_); }

void Namespace::run(const std::function<void()>& work) const {
  std::exception_ptr error;
  std::thread([&] {
    try {
      if (::setns(descriptor_, CLONE_NEWNET) != 0) fail("setns");
      work();
    } catch (...) { error = std::current_exception(); }
  }).join();
  if (error) std::rethrow_exception(error);
}

Pod::Pod(std::string host_interface, const std::string& link_options, const std::string& peer_options)
    : host_(std::move(host_interface)) {
  enter_test_namespace();
  shell(fmt::format("ip link add {} {} type veth peer name eth0 {} netns {}", host_, link_options, peer_options,
                    netns_.path()));
  silence_ipv6(host_);
  shell(fmt::format("ip link set {} up", host_));
  netns_.run([] {
    silence_ipv6("eth0");
    shell("ip link set eth0 arp off up");
  });
}

Pod::~Pod() {
  if (::if_nametoindex(host_.c_str()) != 0) shell("ip link del " + host_);
}

RawSocket::RawSocket(const Pod& pod, std::uint16_t type) {
  pod.netns().run([this, type] {
    descriptor_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(type));
    if (descriptor_ < 0) fail("packet socket");
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(type);
    address.sll_ifindex = static_cast<int>(::if_nametoindex("eth0"));
    if (::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
    const int room = 64 << 20;
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  });
}

RawSocket::~RawSocket() { ::close(descriptor_); }

bool RawSocket::send(const Frame& frame) const {
  const ssize_t sent = ::send(descriptor_, frame.data(), frame.size(), 0);
  if (sent < 0 && errno == ENOBUFS) return false;
  if (sent != static_cast<ssize_t>(frame.size())) fail("send");
  return true;
}

Frame RawSocket::receive(std::chrono::milliseconds patience) const {
  Frame frame(2048);
  for (;;) {
    pollfd wait{.fd = descriptor_, .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, static_cast<int>(patience.count())) <= 0) return {};
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    const ssize_t got =
        ::recvfrom(descriptor_, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (got < 0) fail("receive");
    if (from.sll_pkttype == PACKET_OUTGOING) continue;  // what this pod sent itself
    frame.resize(static_cast<std::size_t>(got));
    return frame;
  }
}

Frame numbered_frame(std::uint32_t number, std::size_t length) {
  Frame frame(length);
  const std::array<std::uint8_t, 14> header = {
      2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, RawSocket::kTestType >> 8, RawSocket::kTestType & 0xff};
  std::copy(header.begin(), header.end(), frame.begin());
  std::memcpy(&frame[14], &number, sizeof number);
  for (std::size_t i = 18; i < length; ++i) frame[i] = static_cast<std::uint8_t>(number * std::size_t{31} + i * 7);
  return frame;
}

std::uint32_t number_of(const Frame& frame) {
  std::uint32_t number = 0;
  if (frame.size() >= 18) std::memcpy(&number, &frame[14], sizeof number);
  return number;
}

}  // namespace millrace::tests
