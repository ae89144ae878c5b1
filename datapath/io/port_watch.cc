#include "datapath/io/port_watch.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace millrace::datapath::io {

net::Result<PortWatch> PortWatch::create() {
  PortWatch watch;
  watch.eventfd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  watch.epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (watch.eventfd_ < 0 || watch.epoll_ < 0) {
    return net::resource_exhausted(std::string("no descriptor for a worker to wait on: ") + std::strerror(errno));
  }
  watch.add(watch.eventfd_);
  return watch;
}

PortWatch::PortWatch(PortWatch&& other) noexcept
    : epoll_(std::exchange(other.epoll_, -1)),
      eventfd_(std::exchange(other.eventfd_, -1)),
      generation_(other.generation_),
      built_(other.built_),
      complete_(other.complete_) {}

PortWatch::~PortWatch() {
  if (epoll_ >= 0) ::close(epoll_);
  if (eventfd_ >= 0) ::close(eventfd_);
}

void PortWatch::add(int descriptor) noexcept {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) complete_ = false;
}

void PortWatch::watch(const Snapshot* snapshot, WorkerId worker) noexcept {
  if (snapshot == nullptr || (built_ && snapshot->generation == generation_)) return;
  // Anew and not by difference: a closed descriptor leaves a set by itself and its number is used again.
  const int fresh = ::epoll_create1(EPOLL_CLOEXEC);
  if (fresh < 0) {
    complete_ = false;  // polls on until there is a descriptor again
    return;
  }
  ::close(epoll_);
  epoll_ = fresh;
  complete_ = true;
  built_ = true;
  generation_ = snapshot->generation;
  add(eventfd_);
  for (const net::PortId id : snapshot->polled[worker]) {
    const Port* port = snapshot->ports[id].port;
    if (port == nullptr) continue;
    const int descriptor = port->wait_fd();
    if (descriptor < 0)
      complete_ = false;
    else
      add(descriptor);
  }
}

PortWatch::Wake PortWatch::wait(int timeout_ms) noexcept {
  std::array<epoll_event, 16> events;
  const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout_ms);
  Wake wake = n > 0 ? Wake::kRing : Wake::kTimeout;
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.fd == eventfd_) {
      std::uint64_t rings = 0;
      [[maybe_unused]] const ssize_t got = ::read(eventfd_, &rings, sizeof rings);
      continue;
    }
    wake = Wake::kPort;
    // A socket whose interface is gone reports an error for ever; control removes its port in its own time.
    if ((event.events & EPOLLIN) == 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, event.data.fd, nullptr);
  }
  return wake;
}

void PortWatch::ring() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(eventfd_, &one, sizeof one);
}

}  // namespace millrace::datapath::io
