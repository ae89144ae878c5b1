#include "perf/gen/sender.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>
#include <send.skel.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <limits>
#include <utility>

#include "perf/gen/interface_counters.h"
#include "perf/gen/stop_signal.h"

namespace millrace::perf::gen {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kBatch = 64;  // what the hook gives to the interface at a time

/// Interrupts the calling thread's system call after `length`, by SIGALRM to this thread alone.
class Alarm {
 public:
  explicit Alarm(std::chrono::duration<double> length) {
    struct sigaction action {};
    action.sa_handler = [](int) {};  // its coming is what counts
    ::sigaction(SIGALRM, &action, nullptr);
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGALRM;
    event._sigev_un._tid = ::gettid();
    if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) return;
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(length).count();
    itimerspec time{};
    time.it_value = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
    time.it_interval = {.tv_sec = 0, .tv_nsec = 10'000'000};  // again, should it come before the call
    set_ = ::timer_settime(timer_, 0, &time, nullptr) == 0;
  }
  ~Alarm() {
    if (timer_ != nullptr) ::timer_delete(timer_);
  }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  bool set() const noexcept { return set_; }

 private:
  timer_t timer_ = nullptr;
  bool set_ = false;
};

net::Error kernel_error(const char* what, int error) {
  const net::ErrorCode code =
      error == EPERM || error == EACCES ? net::ErrorCode::kPermissionDenied : net::ErrorCode::kFailedPrecondition;
  return {code, fmt::format("{}: {}", what, std::strerror(error))};
}

}  // namespace

net::Result<Sender> Sender::open(const std::string& interface, const FlowOptions& options) {
  auto config = make_flow_head(options);
  if (!config) return config.error();
  Sender sender;
  sender.interface_ = interface;
  sender.interface_index_ = ::if_nametoindex(interface.c_str());
  sender.frame_bytes_ = options.frame_bytes;
  if (sender.interface_index_ == 0) return net::not_found(fmt::format("no interface {}", interface));
  config->interface_index = sender.interface_index_;

  sender.skeleton_ = send_bpf__open();
  if (sender.skeleton_ == nullptr) return kernel_error("XDP program does not open", errno);
  std::memcpy(const_cast<send_config*>(&sender.skeleton_->rodata->config), &*config, sizeof *config);
  if (const int status = send_bpf__load(sender.skeleton_); status != 0) {
    return kernel_error("the kernel does not take the XDP program", -status);
  }
  return sender;
}

Sender::Sender(Sender&& other) noexcept
    : skeleton_(std::exchange(other.skeleton_, nullptr)),
      interface_(std::move(other.interface_)),
      interface_index_(other.interface_index_),
      frame_bytes_(other.frame_bytes_) {}

Sender::~Sender() { send_bpf__destroy(skeleton_); }

/// One call for the whole run: to set the hook up and take it down costs the kernel tens of milliseconds (it waits for
/// RCU), in which nothing is sent. A signal ends the call.
net::Result<void> Sender::send_for(std::chrono::duration<double> length) {
  const std::vector<std::uint8_t> blank(frame_bytes_);
  xdp_md context{};
  context.data_end = frame_bytes_;
  context.ingress_ifindex = interface_index_;
  bpf_test_run_opts run{};
  run.sz = sizeof run;
  run.data_in = blank.data();
  run.data_size_in = frame_bytes_;
  run.ctx_in = &context;
  run.ctx_size_in = sizeof context;
  run.repeat = std::numeric_limits<int>::max();
  run.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  run.batch_size = kBatch;
  const Clock::time_point end = Clock::now() + std::chrono::duration_cast<Clock::duration>(length);
  const Alarm alarm(length);
  if (!alarm.set()) return kernel_error("a timer to end the run", errno);
  while (Clock::now() < end && !stop_requested()) {
    const int status = bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.millrace_send), &run);
    if (status != 0 && errno != EINTR) return kernel_error("sending through the kernel's live-frames hook", errno);
  }
  return {};
}

net::Result<SendResult> Sender::run(std::chrono::duration<double> length, std::uint64_t rate_pps) {
  const auto before = read_interface_counters(interface_);
  if (!before) return before.error();
  const std::uint64_t made_before = skeleton_->bss->sent;
  const Clock::time_point start = Clock::now();
  skeleton_->bss->interval_ns = rate_pps == 0 ? 0 : 1'000'000'000 / rate_pps;
  if (auto sent = send_for(length); !sent) return sent.error();
  SendResult result;
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const auto after = read_interface_counters(interface_);
  if (!after) return after.error();
  result.made = skeleton_->bss->sent - made_before;
  result.accepted = after->tx_packets - before->tx_packets;
  result.dropped = after->tx_dropped - before->tx_dropped;
  if (result.made != 0 && result.accepted == 0) {
    return net::failed_precondition(fmt::format(
        "interface {} accepted none of {} frames: the other end of a veth takes them only with an XDP program or with "
        "GRO on (ethtool -K PEER gro on), and must be up",
        interface_, result.made));
  }
  return result;
}

net::Result<std::vector<std::vector<std::uint8_t>>> Sender::preview(unsigned count) {
  const std::vector<std::uint8_t> blank(frame_bytes_);
  std::vector<std::vector<std::uint8_t>> frames;
  while (frames.size() < count) {
    std::vector<std::uint8_t> frame(frame_bytes_);
    bpf_test_run_opts run{};
    run.sz = sizeof run;
    run.data_in = blank.data();
    run.data_size_in = frame_bytes_;
    run.data_out = frame.data();
    run.data_size_out = frame_bytes_;
    if (bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.millrace_send), &run) != 0) {
      return kernel_error("running the XDP program", errno);
    }
    frames.push_back(std::move(frame));
  }
  return frames;
}

}  // namespace millrace::perf::gen
