/// The agent as a whole: state, reconciliation, host port, the line to the switch and the service, in the order in
/// which they must start.
///
/// Errors:  the sentence of the part that could not start; what was started is stopped again.
/// Thread:  start and destruction on one thread. Pods and the host port stay when the agent ends.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "control/config/config.h"
#include "net/result.h"

namespace millrace::control::agent {

class Agent {
 public:
  /// Waits so long; true: it is asked to stop.
  using StopRequested = std::function<bool(std::chrono::milliseconds)>;

  /// With etcd a first start needs an answer of it: until then the socket says what is waited for, and `wait` is called
  /// between the tries; without a `wait` one try is all. nullptr: it was asked to stop meanwhile.
  static net::Result<std::unique_ptr<Agent>> start(const config::Config& config, const StopRequested& wait = {});
  ~Agent();
  /// Takes no more requests, lets those that run end, then lets go of the switch.
  void stop();

 private:
  struct Parts;
  explicit Agent(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// Removes the host port of this instance, its rules of routing, its nftables and, `with_pods`, each pod's interface.
/// The state stays: at the next start the pods that still have their interface work again, the others are gone. Error:
/// kFailedPrecondition while the agent runs.
net::Result<void> clean_up(const config::Config& config, bool with_pods);

}  // namespace millrace::control::agent
