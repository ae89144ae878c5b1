/// EventHub: what became of single packets, from the workers' taps (datapath/event_tap.h) to those who watch.
///
/// Way:     while somebody watches, one thread empties all taps every kEventPoll, puts the events in the order of their
///          time, gives them names, and puts each into the queue of every watcher that asked for it (packet_watch.h).
///          It polls because a worker never calls the system: nothing can wake a sleeper from there. With no watcher
///          the thread sleeps, and taps are shut.
/// Names:   those of the generation a packet met, or of one a poll away from it.
/// Errors:  of open: kInvalidArgument names the field, kNotFound the port, kResourceExhausted past kPacketWatchLimit,
///          kUnavailable after end_all. A watch ends with kNotFound when a port it traces goes.
/// Thread:  any. Must end before the workers and the state.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "control/switch/packet_watch.h"
#include "control/switch/port_view.h"
#include "control/switch/switch_state.h"
#include "control/switch/worker_access.h"
#include "datapath/event_tap.h"

namespace millrace::control::switchd {

inline constexpr std::size_t kPacketWatchLimit = 16;
inline constexpr std::chrono::milliseconds kEventPoll{10};

class EventHub {
 public:
  EventHub(const SwitchState& state, WorkerAccess workers);
  ~EventHub();
  EventHub(const EventHub&) = delete;
  EventHub& operator=(const EventHub&) = delete;

  net::Result<std::shared_ptr<PacketWatch>> open(const api::WatchPacketsRequest& request,
                                                 std::weak_ptr<PacketListener> listener);
  void close(const std::shared_ptr<PacketWatch>& watch);
  /// Ends every watch with kUnavailable, and takes no more.
  void end_all();
  std::size_t watch_count() const;

 private:
  using Watches = std::vector<std::shared_ptr<PacketWatch>>;
  /// Ports by the generation before, and the one in force.
  struct Names {
    std::shared_ptr<const PortView> before;
    std::shared_ptr<const PortView> now;
    /// The one that a packet of this generation met, if it has the port.
    const PortView& of(std::uint64_t generation, net::PortId port) const;
  };

  void run(const std::stop_token& stop);
  // Under mutex_:
  void poll();
  void read_taps();
  void give(const datapath::PacketEvent& event, std::chrono::nanoseconds clock_offset);
  void end_lost_traces();
  void look_again();
  std::uint64_t lost_in_taps() const;
  /// Opens and shuts the taps as the watches ask.
  void set_taps();

  const SwitchState& state_;
  const WorkerAccess workers_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  bool is_ended_ = false;
  Watches watches_;
  Names names_;
  std::vector<bool> traced_;  // by port id, as the taps have it
  std::uint64_t lost_told_ = 0;
  std::vector<datapath::PacketEvent> events_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace millrace::control::switchd
