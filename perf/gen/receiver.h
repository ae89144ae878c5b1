/// Receiver: counts UDP that arrives at a kernel interface, at its first hook, and drops it there.
///
/// Theory:  an XDP program with a counter for each processor, attached through a BPF link in native mode, else generic;
///          it goes with the process. What is not UDP passes.
/// Thread:  one.
/// Errors:  kNotFound, kPermissionDenied, kFailedPrecondition with the kernel's reason.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "net/result.h"

struct receive_bpf;

namespace millrace::perf::gen {

struct ReceiveResult {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  double seconds = 0;
};

class Receiver {
 public:
  static net::Result<Receiver> open(const std::string& interface);
  ~Receiver();
  Receiver(Receiver&& other) noexcept;
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  Receiver& operator=(Receiver&&) = delete;

  bool native() const noexcept { return native_; }
  /// Counts for `length` after `warm_up`, or until stop_requested(). A length of 0 has no end.
  net::Result<ReceiveResult> run(std::chrono::duration<double> warm_up, std::chrono::duration<double> length);
  /// All that was counted since open().
  net::Result<ReceiveResult> total() const;

 private:
  Receiver() = default;

  receive_bpf* skeleton_ = nullptr;
  int link_ = -1;
  bool native_ = false;
  std::chrono::steady_clock::time_point opened_;
};

}  // namespace millrace::perf::gen
