#include "perf/gen/receiver.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <poll.h>
#include <receive.skel.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>
#include <vector>

#include "perf/gen/stop_signal.h"
#include "perf/gen/xdp/receive.h"

namespace millrace::perf::gen {
namespace {

using Clock = std::chrono::steady_clock;

net::Error kernel_error(const std::string& what, int error) {
  const net::ErrorCode code =
      error == EPERM || error == EACCES ? net::ErrorCode::kPermissionDenied : net::ErrorCode::kFailedPrecondition;
  return {code, fmt::format("{}: {}", what, std::strerror(error))};
}

/// Sleeps until `end`; a signal that asks to stop ends it.
void sleep_until(Clock::time_point end) {
  while (!stop_requested()) {
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(end - Clock::now()).count();
    if (left <= 0) return;
    const timespec time{.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
    ::nanosleep(&time, nullptr);
  }
}

}  // namespace

net::Result<Receiver> Receiver::open(const std::string& interface) {
  const unsigned index = ::if_nametoindex(interface.c_str());
  if (index == 0) return net::not_found(fmt::format("no interface {}", interface));
  Receiver receiver;
  receiver.skeleton_ = receive_bpf__open_and_load();
  if (receiver.skeleton_ == nullptr) return kernel_error("the kernel does not take the XDP program", errno);
  const int program = bpf_program__fd(receiver.skeleton_->progs.millrace_receive);
  const auto attach = [&](std::uint32_t mode) {
    bpf_link_create_opts options{};
    options.sz = sizeof options;
    options.flags = mode;
    return bpf_link_create(program, static_cast<int>(index), BPF_XDP, &options);
  };
  receiver.link_ = attach(XDP_FLAGS_DRV_MODE);
  receiver.native_ = receiver.link_ >= 0;
  if (!receiver.native_) receiver.link_ = attach(XDP_FLAGS_SKB_MODE);
  if (receiver.link_ < 0) return kernel_error(fmt::format("XDP on interface {}", interface), -receiver.link_);
  receiver.opened_ = Clock::now();
  return receiver;
}

Receiver::Receiver(Receiver&& other) noexcept
    : skeleton_(std::exchange(other.skeleton_, nullptr)),
      link_(std::exchange(other.link_, -1)),
      native_(other.native_),
      opened_(other.opened_) {}

Receiver::~Receiver() {
  if (link_ >= 0) ::close(link_);
  receive_bpf__destroy(skeleton_);
}

net::Result<ReceiveResult> Receiver::total() const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return net::internal_error("the kernel does not say how many processors it has");
  std::vector<receive_count> counts(static_cast<std::size_t>(cpus));
  const std::uint32_t key = 0;
  if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.counts), &key, counts.data()) != 0) {
    return kernel_error("reading the counters", errno);
  }
  ReceiveResult sum;
  for (const receive_count& count : counts) {
    sum.packets += count.packets;
    sum.bytes += count.bytes;
  }
  sum.seconds = std::chrono::duration<double>(Clock::now() - opened_).count();
  return sum;
}

net::Result<ReceiveResult> Receiver::run(std::chrono::duration<double> warm_up, std::chrono::duration<double> length) {
  sleep_until(Clock::now() + std::chrono::duration_cast<Clock::duration>(warm_up));
  const auto before = total();
  if (!before) return before.error();
  const auto forever = std::chrono::hours(24 * 365);
  sleep_until(Clock::now() + (length.count() > 0 ? std::chrono::duration_cast<Clock::duration>(length) : forever));
  auto result = total();
  if (!result) return result.error();
  result->packets -= before->packets;
  result->bytes -= before->bytes;
  result->seconds -= before->seconds;
  return result;
}

}  // namespace millrace::perf::gen
