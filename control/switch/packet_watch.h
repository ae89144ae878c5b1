/// PacketWatch: what one watcher asked for, and the events on their way to it.
///
/// Shape:   a bounded queue. A watcher that does not keep up loses the newest events and is told how many. The first
///          message is empty, and says that from then on everything is seen.
/// Errors:  of parse: kInvalidArgument names the field.
/// Thread:  any; the hub puts, the stream takes. `tell` calls the listener with no lock held.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "control/api/switch.pb.h"
#include "net/packet.h"
#include "net/result.h"

namespace millrace::control::switchd {

inline constexpr int kWatchedPortLimit = 16;            // of each list of a request
inline constexpr std::size_t kWatchQueueEvents = 8192;  // about 2 MB
inline constexpr std::size_t kWatchBatchEvents = 256;   // of one message

struct PacketFilter {
  bool drops = false;
  std::set<std::string> drop_ports;                // empty: of all
  std::map<std::string, net::PortId> trace_ports;  // with the ids they have; kNoPort before the hub has looked

  static net::Result<PacketFilter> parse(const api::WatchPacketsRequest& request);
  /// Names of the ports, "" for none.
  bool wants(bool is_drop, const std::string& in, const std::string& out) const;
};

class PacketListener {
 public:
  virtual ~PacketListener() = default;
  /// There is something to take, or it has ended.
  virtual void on_packets() = 0;
};

class PacketWatch {
 public:
  PacketWatch(PacketFilter filter, std::weak_ptr<PacketListener> listener)
      : filter_(std::move(filter)), listener_(std::move(listener)) {}

  const PacketFilter& filter() const noexcept { return filter_; }
  void put(const api::PacketEvent& event);
  void lose(std::uint64_t count);
  void end(net::Error why);
  /// False: there is nothing now.
  bool take(api::PacketEvents& message);
  /// Why it has ended. What was put before can still be taken.
  std::optional<net::Error> ended() const;
  void tell() const;

 private:
  const PacketFilter filter_;
  const std::weak_ptr<PacketListener> listener_;
  mutable std::mutex mutex_;
  bool is_greeted_ = false;
  std::deque<api::PacketEvent> queue_;
  std::uint64_t lost_ = 0;
  std::optional<net::Error> end_;
};

}  // namespace millrace::control::switchd
