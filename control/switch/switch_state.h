/// SwitchState: the ports in force, and Apply as one transaction over them.
///
/// Way of a change: checked by itself (apply_request.h) -> its names claimed (apply_claims.h) -> merged with what is
/// there (desired_state.h), to see that it can be -> devices opened (device_plan.h) -> its turn, and the next state of
/// policy made (policy_state.h) -> merged with what is there now, snapshot built, published -> every worker has passed
/// to it -> devices of removed ports closed, their counters added to the removed ports', their ids free again. Up to
/// "published" any error leaves all as it was. Only from the second merge to "published" is one Apply alone; opening,
/// the wait for the workers, and closing are done by all at once, so that a generation may be published before all have
/// passed to the one before it.
///
/// Errors:  those of the steps. kUnavailable when the switch stops. kDeadlineExceeded when a worker does not pass
///          to the new generation in WorkerAccess::ack_timeout: the change is published then, and what is removed stays
///          open until a later Apply finds that it was passed. The same request again publishes nothing, and waits.
/// Thread:  any, several at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "control/api/switch.pb.h"
#include "control/switch/apply_claims.h"
#include "control/switch/desired_state.h"
#include "control/switch/device_plan.h"
#include "control/switch/port_opener.h"
#include "control/switch/port_slots.h"
#include "control/switch/port_sums.h"
#include "control/switch/port_view.h"
#include "control/switch/rule_slots.h"
#include "control/switch/tunnel_standing.h"
#include "control/switch/underlay.h"
#include "control/switch/worker_access.h"
#include "net/result.h"

namespace millrace::control::switchd {

struct TraceQuestion;

class SwitchState {
 public:
  /// Publishes generation 1, which has no ports: so no worker may run before. `opener`, `underlay` and what `workers`
  /// points to must outlive the state.
  static net::Result<std::unique_ptr<SwitchState>> create(const Limits& limits, const datapath::Gateway& gateway,
                                                          PortOpener& opener, Underlay& underlay, WorkerAccess workers);
  /// `close` must have come before, or no worker may run any more.
  ~SwitchState();

  net::Result<api::ApplyReply> apply(const api::ApplyRequest& request);
  /// Publishes the ways of the underlay as they are now, if that makes another of some tunnel. Errors: as `apply`.
  net::Result<void> underlay_changed();
  /// Makes every Apply from now on fail with kUnavailable, waits for those that run, removes every port.
  net::Result<void> close();

  std::uint64_t generation() const;
  std::size_t port_count() const;
  /// Apply requests that run or wait for one another.
  std::size_t running_applies() const { return claims_.count(); }
  std::uint32_t port_limit() const noexcept { return limits_.port_limit; }
  std::shared_ptr<const ServiceState> services() const;
  std::shared_ptr<const PolicyState> policy() const;
  /// Every table that can fill up.
  std::vector<api::TableStatus> tables() const;
  PortView port_view() const;
  /// What the snapshot in force says of a packet. Waits while a change is published.
  net::Result<api::TraceReply> trace(const TraceQuestion& question) const;
  /// By id, of ports and of tunnels; "" where none is.
  std::vector<std::string> port_names() const;
  api::ListTunnelsReply list_tunnels() const;
  /// Error: kNotFound when there is no such port.
  net::Result<api::PortPolicyStatus> port_policy(const std::string& port) const;
  api::ListRuleCountersReply rule_counters() const;
  api::ListPortsReply list_ports() const;
  api::GetCountersReply counters() const;
  /// Ports whose interface went away since the last call: each is told once.
  std::vector<std::string> take_dead_ports();
  /// Ports whose guest took its memory back since the last call.
  std::vector<std::string> take_memory_losses();

 private:
  using Devices = std::vector<std::shared_ptr<Device>>;
  /// What is in no current snapshot any more, kept until all workers have passed `generation`.
  struct Retired {
    std::uint64_t generation = 0;
    net::PortId id = net::kNoPort;   // kNoPort: this is of a device, or the id is free again already
    std::shared_ptr<Device> device;  // null: this is of an id
    bool abandoned = false;          // the Apply that retired it has given up waiting: the next one closes it
  };
  /// Generations that one Apply published, none when first > last. The Apply is done when `last` is passed.
  struct Published {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
  };

  SwitchState(const Limits& limits, PortOpener& opener, Underlay& underlay, WorkerAccess workers);
  ClaimKeys keys_of(const Change& change) const;
  /// Ports whose interface is there still. The caller holds apply_mutex_, so that a device that another Apply removes
  /// is closed when that one closes it, and not held open by the copy.
  LivePorts alive_ports() const;
  /// The rules in force and the ports whose interface is there still, without their devices.
  DesiredState live_state() const;
  /// The next state of policy, in this request's turn.
  net::Result<std::shared_ptr<const PolicyState>> plan_policy(const Change& change);
  /// All checks, and nothing else.
  net::Result<api::ApplyReply> try_out(const Change& change);
  net::Result<OpenedDevices> open_for(const Change& change);
  /// Merge, plan and publish, alone. `reply` gets the failures.
  net::Result<Published> change_state(const api::ApplyRequest& request, const Change& change,
                                      std::shared_ptr<const PolicyState> policy, OpenedDevices& opened,
                                      api::ApplyReply& reply);
  // Under apply_mutex_:
  /// Has the underlay follow the remotes and uplinks that there will be.
  void follow_remotes(const DesiredState& desired, const DevicePlan& plan);
  /// The tunnels of `rules` with an index each, the one they have if they are in force, and where they stand.
  LiveTunnels plan_tunnels(const DesiredState& rules, const Uplinks& uplinks);
  /// The indexes of those among them that are not in force.
  void give_back_new(const LiveTunnels& tunnels);
  /// Makes `next` those in force. Under state_mutex_ too.
  void replace_tunnels(LiveTunnels next);
  net::Result<Published> commit(DesiredState desired, const DevicePlan& plan);
  /// Publishes `rules` (but for their ports) and `ports` in place of those in force and retires what is no longer among
  /// them.
  net::Result<void> publish(const DesiredState& rules, LivePorts ports);
  /// Has uplinks take what `rules` serve, before any worker does.
  net::Result<void> widen_uplinks(const DesiredState& rules, const LivePorts& ports);
  /// Frees the ids, counters and snapshots that every worker has passed.
  void free_ids();

  /// Waits until every worker has passed `published`, then closes what it retired.
  net::Result<void> settle(const Published& published);
  /// Leaves what `published` retired to a later Apply.
  void abandon(const Published& published);
  /// So that this request can open the interfaces again.
  void close_abandoned();
  /// Of what all workers have passed: devices that `published` retired, and the abandoned ones.
  Devices take_retired(const Published& published);
  PortSums row_sums(net::PortId id) const;
  /// To the workers a tunnel is a port behind the port limit (datapath/tunnels.h).
  net::PortId first_tunnel() const noexcept { return static_cast<net::PortId>(limits_.port_limit); }

  const Limits limits_;
  PortOpener& opener_;
  Underlay& underlay_;
  const WorkerAccess workers_;
  std::atomic<bool> stopping_{false};
  ApplyClaims claims_;

  mutable std::mutex apply_mutex_;  // held while the state is changed, and snapshots freed; taken before state_mutex_
  PortSlots slots_;                 // under apply_mutex_, as are the next six
  PortSlots tunnel_slots_;
  std::shared_ptr<const TunnelSet> followed_;  // whose remotes the underlay follows
  std::set<int> followed_uplinks_;
  bool has_uplink_ = false;
  datapath::UplinkRules uplink_rules_;  // of the generation published last
  bool is_uplink_wide_ = false;         // uplinks may take more than these

  mutable std::mutex state_mutex_;  // guards the rest; writers hold apply_mutex_ too
  std::uint64_t generation_ = 0;
  RuleSlots rule_slots_;  // guards itself; outlives the policies that have slots
  DesiredState rules_;    // without its ports: those are in ports_
  LivePorts ports_;
  LiveTunnels tunnels_;
  std::vector<Retired> retired_;
  /// Indexes of tunnels that went, with the generation that all workers must have passed.
  std::vector<std::pair<std::uint64_t, datapath::TunnelIndex>> retired_tunnels_;
  /// Not in force any more, kept until all workers have passed the generation that put another in their place.
  std::vector<std::pair<std::uint64_t, std::shared_ptr<const PolicyState>>> retired_policy_;
  PortSums removed_;
};

}  // namespace millrace::control::switchd
