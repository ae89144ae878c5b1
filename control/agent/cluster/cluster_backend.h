/// Objects of a cluster: a change is committed to etcd, and comes into the memory the way everybody else's does.
///
/// Order:   the plan is made of what this node sees -> one transaction, on the condition that it still is so (several
///          for a large request, txn_plan.h) -> this node has seen it, and gate and listeners have -> answer.
/// Race:    when somebody else was first, the change is waited for and the plan made anew, kAttempts times at most.
/// Errors:  kUnavailable: etcd cannot be reached, or others were first each time. kDeadlineExceeded: it was sent and no
///          answer came even to the question what became of it; or it is in force in the cluster and this node has not
///          seen it in time. Each says what is in force of a request that took several transactions. The rest are the
///          plan's and the gate's.
/// Thread:  any; changes of this node wait for one another.
#pragma once

#include <chrono>
#include <mutex>
#include <set>

#include "control/agent/cluster/cluster_link.h"
#include "control/agent/cluster/cluster_view.h"
#include "control/agent/cluster/txn_plan.h"
#include "control/agent/object_backend.h"

namespace millrace::control::agent::cluster {

class ClusterBackend final : public ObjectBackend {
 public:
  static constexpr int kAttempts = 16;
  static constexpr std::chrono::milliseconds kSeenTimeout{10'000};

  ClusterBackend(Transactions& etcd, ObjectMemory& memory, ClusterView& view, Keys keys)
      : etcd_(etcd), memory_(memory), view_(view), keys_(std::move(keys)) {}

  net::Result<void> change(const Plan& plan) override;

 private:
  enum class Step : std::uint8_t { kDone, kRaced };

  /// The transactions of what is planned now.
  net::Result<TxnPlan> plan_now(const Plan& plan, const std::set<kube::ObjectKey>& done);
  net::Result<Step> commit_all(std::vector<PlannedTxn> txns, std::set<kube::ObjectKey>& done,
                               std::optional<net::Error>& refused);
  /// Sends it until it is known what became of it.
  net::Result<etcd::TxnResult> commit(const etcd::Txn& txn);
  net::Result<void> wait_for(std::int64_t revision);

  Transactions& etcd_;
  ObjectMemory& memory_;
  ClusterView& view_;
  const Keys keys_;
  std::mutex mutex_;
};

}  // namespace millrace::control::agent::cluster
