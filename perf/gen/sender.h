/// Sender: UDP out of a kernel interface, as fast as the kernel's XDP layer takes it or at a given rate.
///
/// Theory:  the program of xdp/send.bpf.c runs in the kernel's live-frames hook on the calling thread, 64 at a time.
///          On a veth the frames arrive at the other end as from a network card: they go into its XDP ring, which
///          exists only when that end has NAPI (GRO on, or a native XDP program attached, as an AF_XDP port has).
/// Thread:  one. The work, including the receiving end's NAPI, happens on the thread's processor: pin it.
/// Errors:  kFailedPrecondition with the kernel's reason (needs Linux 5.18); kPermissionDenied.
/// Source:  kernel Documentation/bpf/bpf_prog_run.rst, "Running XDP programs in live frame mode".
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "net/result.h"
#include "perf/gen/flow_head.h"

struct send_bpf;

namespace millrace::perf::gen {

struct SendResult {
  std::uint64_t made = 0;      // frames given to the interface
  std::uint64_t accepted = 0;  // frames the interface counted as sent
  std::uint64_t dropped = 0;   // frames the interface counted as dropped: its other end was not fast enough
  double seconds = 0;
};

class Sender {
 public:
  static net::Result<Sender> open(const std::string& interface, const FlowOptions& options);
  ~Sender();
  Sender(Sender&& other) noexcept;
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  Sender& operator=(Sender&&) = delete;

  /// Sends for `length` or until stop_requested(). rate_pps 0: as fast as possible; else evenly, to the nanosecond in
  /// which the program is run, at the cost of a busy processor.
  net::Result<SendResult> run(std::chrono::duration<double> length, std::uint64_t rate_pps);
  /// The next `count` frames, which are not sent.
  net::Result<std::vector<std::vector<std::uint8_t>>> preview(unsigned count);

 private:
  Sender() = default;
  net::Result<void> send_for(std::chrono::duration<double> length);

  send_bpf* skeleton_ = nullptr;
  std::string interface_;
  unsigned interface_index_ = 0;
  std::uint32_t frame_bytes_ = 0;
};

}  // namespace millrace::perf::gen
