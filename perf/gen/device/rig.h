/// Rig: the devices of a run, opened once, and the threads that drive them, one set a trial.
///
/// Shape:   ports are DPDK devices by name ("net_virtio_user0,path=/run/vh0.sock", "net_af_xdp0,iface=eth1",
///          "net_ring0", "0000:3b:00.0") with one queue each. Ports are dealt to the threads in turn; a stream belongs
///          to the thread of the port that sends it, and what arrives is judged by the thread of the port it arrives
///          at. A packet that comes back at two ports of different threads counts twice: `received` may then exceed
///          what came.
/// Thread:  control. run() blocks for the trial; the callback is called on the calling thread.
/// Errors:  those of DPDK and of streams; kInvalidArgument for a stream that names a port which is not there.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "datapath/io/dpdk_device.h"
#include "datapath/io/eal.h"
#include "perf/gen/connect/result.h"
#include "perf/gen/run/clock.h"
#include "perf/gen/run/engine.h"
#include "perf/gen/run/recording.h"
#include "perf/gen/run/trial.h"

namespace millrace::perf::gen {

struct RigOptions {
  std::vector<std::string> ports = {};
  std::vector<unsigned> echo = {};   // indexes of ports that turn round what arrives
  std::vector<int> cpus = {};        // a thread each, pinned; empty: one thread where the kernel puts it
  std::uint32_t frame_bytes = 1514;  // longest that is sent or may arrive
  std::uint16_t descriptors = 1024;
  bool verify_headers = false;
  bool hugepages = true;
  double interval_seconds = 0.5;  // of samples
};

class Rig final : public TrialRunner {
 public:
  /// Starts DPDK: once a process.
  static net::Result<std::unique_ptr<Rig>> open(const RigOptions& options);
  ~Rig() override;

  net::Result<TrialResult> run(const std::vector<StreamDescription>& streams, const TrialOptions& options) override;

  /// Connections from one port, served at another; `server` -1: the far side has one. On one thread.
  net::Result<ConnectResult> connect(const ConnectOptions& options);

  /// Called after every interval while a trial or a run of connections goes on.
  void on_live(std::function<void(const LiveSample&)> callback) { callback_ = std::move(callback); }
  void on_live(std::function<void(const ConnectSample&)> callback) { connect_callback_ = std::move(callback); }
  /// Ends the trial that runs and refuses others; any thread, a signal handler too.
  void stop() noexcept { stop_.store(true, std::memory_order_relaxed); }
  const std::string& memory() const noexcept { return memory_; }

 private:
  struct Run;
  explicit Rig(RigOptions options) : options_(std::move(options)) {}
  net::Result<void> open_devices();
  net::Result<void> add_streams(Run& run, const std::vector<StreamDescription>& streams, const TrialOptions& options);
  net::Result<const RecordedFrames*> recorded(const std::string& file);
  void watch(Run& run, TrialCompanion* companion);
  TrialResult collect(Run& run, const std::vector<StreamDescription>& streams);
  std::size_t thread_count() const noexcept;

  RigOptions options_;
  std::string memory_;
  std::unique_ptr<datapath::io::MbufPool> pool_;
  std::vector<std::unique_ptr<datapath::io::DpdkQueue>> queues_;  // each keeps its device open
  std::vector<std::pair<std::string, std::unique_ptr<RecordedFrames>>> recordings_;
  CycleClock clock_;
  /// Begins anywhere, so that what another process left in the device, or recorded, is not taken for this one's.
  std::uint8_t epoch_ = static_cast<std::uint8_t>(std::random_device()());
  std::function<void(const LiveSample&)> callback_;
  std::function<void(const ConnectSample&)> connect_callback_;
  std::atomic<bool> stop_{false};
};

}  // namespace millrace::perf::gen
