/// TestSwitch: the production state of the switch over in-memory devices, with workers that take their turn when woken.
///
/// Thread:  one; a turn is taken inside `wake`, so every test is the same each time. A worker can be made to stay away.
///          With TestSwitchOptions::threads each worker has a thread of its own, and Apply may come from any.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "control/api/switch.pb.h"
#include "control/switch/port_opener.h"
#include "control/switch/switch_state.h"
#include "control/switch/underlay.h"
#include "datapath/memory_port.h"
#include "datapath/worker.h"
#include "net/address.h"

namespace millrace::control::switchd {

/// Interfaces of a machine that has only memory. As in the kernel, what is open cannot be opened again.
class MemoryOpener final : public PortOpener {
 public:
  net::Result<OpenPort> open(const PortRequest& request) override;
  net::Result<void> widen_uplinks(const datapath::UplinkRules& rules) override;
  net::Result<void> narrow_uplinks(const datapath::UplinkRules& rules) override;
  DeviceStatus inspect(const OpenPort& open) const override;
  bool is_dead(const OpenPort& open) const override;

  /// What uplinks were told: "widen 2 frontends, masquerade 192.0.2.1", ...
  std::vector<std::string> uplink_calls;
  /// Interfaces that `open` does not find.
  std::set<std::string> missing;
  /// Interfaces that have more than one.
  std::map<std::string, unsigned> queues;
  /// Of sockets, by path; one that is not here has none.
  std::map<std::string, VhostGuest> guests;
  /// From now on `open` of any interface waits for let_go() of it.
  void hold();
  void let_go(const std::string& interface);
  /// Returns when as many calls of `open` wait.
  void wait_until_held(std::size_t count);
  /// An interface deleted behind the switch's back, and made again as another one.
  void remove(const std::string& interface);
  /// Of an interface that was opened.
  unsigned number_of(const std::string& interface) const;
  /// Calls of `open` that wait.
  std::size_t held() const;
  std::size_t open_count() const;
  /// Calls of `open` that succeeded.
  std::size_t opened() const;
  /// The far end of a queue of the device that is open on an interface; nullptr when none is.
  datapath::MemoryPort* device(const std::string& interface, std::size_t queue = 0) const;

 private:
  class ListedPort;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool hold_ = false;
  std::set<std::string> let_go_;
  std::set<std::string> removed_;  // since the interface was opened
  std::size_t held_ = 0;
  std::map<std::string, unsigned> number_;
  std::size_t opened_ = 0;
  std::multimap<std::string, datapath::MemoryPort*> live_;
};

/// Ways that a test writes down, by remote; one that is not there has no route.
class TableUnderlay final : public Underlay {
 public:
  void follow(const std::set<net::IpAddress>& remotes, const std::set<int>& uplinks) override {
    followed = remotes;
    followed_uplinks = uplinks;
  }
  UnderlayWays ways() const override { return table; }

  UnderlayWays table;
  std::set<net::IpAddress> followed;
  std::set<int> followed_uplinks;
};

struct TestSwitchOptions {
  std::uint32_t port_limit = 8;
  unsigned worker_count = 2;
  std::uint32_t max_mtu_bytes = 1500;
  nat::PortRange nat_ports{40960, 24576};
  std::chrono::milliseconds ack_timeout{20};
  std::uint32_t rule_limit = 64;
  bool threads = false;
  std::size_t packets = 512;
};

class TestSwitch {
 public:
  explicit TestSwitch(const TestSwitchOptions& options = {});

  net::Result<api::ApplyReply> apply(const api::ApplyRequest& request) { return state->apply(request); }
  /// ListPorts without the totals: what must not change when an Apply fails.
  std::string ports() const;
  /// A turn of every worker that is not away, and as many more as a scan of flows takes.
  void step();

  MemoryOpener opener;
  TableUnderlay underlay;
  datapath::MemoryPool pool;
  datapath::Publisher publisher;
  std::set<datapath::WorkerId> away;  // workers that take no turn
  WorkerAccess access;
  std::unique_ptr<SwitchState> state;

  ~TestSwitch();

 private:
  std::unique_ptr<datapath::HandoffRings, void (*)(datapath::HandoffRings*)> rings_;
  std::vector<std::unique_ptr<datapath::WorkerCounters>> counters_;
  std::vector<std::unique_ptr<datapath::Worker>> workers_;
  std::uint64_t now_ns_ = 0;
  std::vector<std::jthread> threads_;
};

/// Of every device in memory that a port names.
inline const net::Mac kDeviceMac{{0x02, 0xde, 0, 0, 0, 1}};
inline const net::Mac kGatewayMac{{0x02, 0x4d, 0x52, 0, 0, 1}};

/// A right pod port: interface "veth-NAME", a MAC made of the name, these addresses, MTU 1500.
api::PortSpec pod(const std::string& name, const std::vector<std::string>& addresses);
api::PortSpec host(const std::string& name, const std::vector<std::string>& prefixes);
api::ApplyRequest upsert(const std::vector<api::PortSpec>& ports);
api::ApplyRequest replace(const std::vector<api::PortSpec>& ports);
api::ApplyRequest remove(const std::vector<std::string>& names);
/// Network order bytes of an address in text.
std::string bytes_of(const std::string& address);

}  // namespace millrace::control::switchd
