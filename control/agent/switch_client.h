/// The agent's line to the switch: keeps it in the desired state, whoever of the two restarts.
///
/// Shape:   the desired state is the gateway, the masquerade, ports and services by name, and policy. A thread holds a
///          Watch stream open; when the stream begins with a new instance of the switch, all of the state goes there in
///          one Apply(replace_all). When the stream ends, gRPC connects again as soon as it can (tries at most 5 a
///          second). Between, each add_port, remove_port, update_services and update_policy is an Apply. A resync and
///          these exclude one another, so a resync never takes away a port that was added meanwhile.
/// Errors:  kUnavailable, at once, while the switch is away; else what the switch answered.
/// Thread:  any, after start(). The thread sleeps in the stream: no polling.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "control/agent/policy_state.h"
#include "control/api/switch.grpc.pb.h"
#include "net/result.h"

namespace millrace::control::agent {

class SwitchClient {
 public:
  /// Opening an AF_XDP port takes the kernel milliseconds, and there may be 250; a large service's tables take as long.
  static constexpr std::chrono::milliseconds kLongApply{30000};

  struct Status {
    bool in_sync = false;
    std::string message;  // why not, or which ports of the desired state are not open, with the switch's reason
    std::uint64_t generation = 0;
  };

  SwitchClient(const std::string& socket_path, api::Gateway gateway, std::vector<api::PortSpec> ports);
  ~SwitchClient();
  SwitchClient(const SwitchClient&) = delete;
  SwitchClient& operator=(const SwitchClient&) = delete;

  void start();
  void stop();

  /// Adds or replaces a port. Returns the generation that all workers forward by.
  /// After an error the port is not part of the desired state; the switch may have it still: call remove_port().
  net::Result<std::uint64_t> add_port(const api::PortSpec& port);
  /// Puts another in place of a port that is there; it is part of the desired state at once, also with the switch away
  /// (kUnavailable: its return brings it). Returns the generation.
  net::Result<std::uint64_t> replace_port(const api::PortSpec& port);
  /// Takes the port out of the desired state in any case. An error says only that the switch may still have it, until
  /// the next resync.
  net::Result<void> remove_port(const std::string& name);
  /// Is the port part of the desired state?
  bool has_port(const std::string& name) const;
  /// What is translated besides services. Before start().
  void set_nat(api::Nat nat) { nat_ = std::move(nat); }
  /// The same after start(). It is part of the desired state at once, also with the switch away (kUnavailable: its
  /// return brings it). Returns the generation.
  net::Result<std::uint64_t> update_nat(api::Nat nat);
  /// The network between nodes and the ways to them. Before start().
  void set_tunnels(api::Underlay underlay, const std::vector<api::Tunnel>& tunnels);
  /// The same after start(), all there are: what differs goes to the switch. They are part of the desired state at
  /// once, also with the switch away (kUnavailable: its return brings them). Returns the generation.
  net::Result<std::uint64_t> update_tunnels(const api::Underlay& underlay, const std::vector<api::Tunnel>& tunnels);
  /// Adds or replaces services, and removes those named, as one change. They are part of the desired state at once,
  /// also with the switch away (kUnavailable: its return brings them). Services that the switch refuses are taken out
  /// of the desired state, the others are in force; the error is the first refusal. Returns the generation.
  net::Result<std::uint64_t> update_services(const std::vector<api::Service>& upserts,
                                             const std::vector<std::string>& removes);
  /// Changes the policy as one: `delta` has its lists, each as a whole by key. It is part of the desired state at once,
  /// also with the switch away (kUnavailable: its return brings it). Returns the generation.
  /// A switch that refuses it (something ran out, which check_policy() did not foresee) keeps nothing of what is
  /// touched, neither the new nor the old: the ports that were to be judged by it are closed, then opened one by one as
  /// far as the switch agrees. Those that stay closed are tried again with each change; the error names them.
  net::Result<std::uint64_t> update_policy(const api::ApplyRequest& delta);
  /// Would the switch take `delta`? Changes nothing. No error with the switch away.
  net::Result<void> check_policy(const api::ApplyRequest& delta);
  /// Why a port is closed though its policies are known; nullopt: it is not.
  std::optional<std::string> closed_reason(const std::string& port) const;
  /// Does the switch have the port as it is desired?
  net::Result<void> check_port(const std::string& name);

  Status status() const;
  /// kUnavailable with the reason unless the switch is in the desired state.
  net::Result<void> check_in_sync() const;
  /// Waits until in_sync is `wanted`; false when `timeout` passed first.
  bool wait_for(bool wanted, std::chrono::milliseconds timeout);

 private:
  void run();
  /// Follows one Watch stream to its end. True when the switch came into the desired state meanwhile.
  bool follow(grpc::ClientContext& context);
  net::Result<void> resync();
  /// All of the desired state in one request. When the switch refuses it, without services and tunnels, which then go
  /// one after another; when it refuses that, too, without policy, so that pods are closed, and these are opened one by
  /// one.
  net::Result<api::ApplyReply> apply_everything(api::ApplyRequest request);
  /// In one request, and when that is refused in two halves, and so on: what is refused alone is taken out of the
  /// desired state. The first refusal is kept in `refusal`; false: the switch is away.
  bool apply_services(std::span<const api::Service> upserts, std::optional<net::Error>& refusal);
  /// With `mutex_` held.
  void add_tunnels(api::ApplyRequest& request) const;
  /// All of them in one request; a refusal is told in the log. False: the switch is away.
  bool apply_tunnels();
  /// All but policy, so that the pods that await theirs are closed; then these one by one.
  net::Result<api::ApplyReply> apply_closed(api::ApplyRequest request, const net::Error& why);
  net::Result<std::uint64_t> close_refused(const api::ApplyRequest& delta, const net::Error& why);
  /// What the switch says that it could not build: it has the policies, and the ports are closed.
  void note_policy_failures(const api::ApplyReply& reply);
  /// Opens closed ports as far as the switch agrees. Error: it went away.
  net::Result<void> pay_policy_debt();
  /// Remembers which ports the switch could not open, until they are open or leave the desired state; their names.
  std::vector<std::string> note_port_failures(const api::ApplyReply& reply);
  /// Ports that could not be opened though their interface is there: tried again, for a while.
  void retry(std::vector<std::string> names);
  /// One such try: true when there is nothing left to try.
  bool is_settled(const std::string& name);
  net::Result<api::ApplyReply> apply(const api::ApplyRequest& request, std::chrono::milliseconds timeout);
  void set_status(bool in_sync, const std::string& message);
  bool sleep(std::chrono::milliseconds duration);  // false: stopping

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<api::Switch::Stub> stub_;
  const api::Gateway gateway_;
  std::optional<api::Nat> nat_;
  const std::string socket_path_;

  std::mutex services_order_;            // one change of services after the other
  std::mutex policy_order_;              // one change of policy after the other
  std::shared_timed_mutex apply_order_;  // shared: one port, or services change; exclusive: resync
  mutable std::mutex mutex_;             // of everything below
  mutable std::condition_variable changed_;
  std::map<std::string, api::PortSpec> ports_;
  std::map<std::string, api::Service> services_;
  std::optional<api::Underlay> underlay_;
  std::map<std::string, api::Tunnel> tunnels_;
  PolicyState policy_;
  PolicyDebt policy_debt_;
  std::map<std::string, std::string> not_open_;         // by port; why, of those in the desired state
  std::map<std::string, std::string> policy_failures_;  // by port; the switch's word of the last change of policy
  Status status_;
  std::string instance_id_;  // of the switch that was brought into the desired state
  bool stopping_ = false;
  grpc::ClientContext* watching_ = nullptr;
  std::thread thread_;
};

}  // namespace millrace::control::agent
