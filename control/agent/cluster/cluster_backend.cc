#include "control/agent/cluster/cluster_backend.h"

#include <algorithm>

#include <fmt/format.h>

namespace millrace::control::agent::cluster {
namespace {

using net::ErrorCode;

/// What became of a request before `error`.
net::Error told(const net::Error& error, const std::set<kube::ObjectKey>& done) {
  if (done.empty()) return error;
  constexpr std::size_t kNamed = 5;
  std::string names;
  std::size_t named = 0;
  for (const kube::ObjectKey& key : done) {
    if (named++ == kNamed) break;
    names += (names.empty() ? "" : ", ") + kube::to_string(key);
  }
  if (done.size() > kNamed) names += fmt::format(" and {} more", done.size() - kNamed);
  return {error.code, fmt::format("{}; of this request are done: {}", error.message, names)};
}

/// Whether what `found` says of the transaction's keys is what it does.
bool is_as_written(const etcd::Txn& txn, const std::vector<etcd::KeyValue>& found) {
  const auto find = [&](const std::string& key) {
    return std::ranges::find_if(found, [&](const etcd::KeyValue& item) { return item.key == key; });
  };
  return std::ranges::all_of(txn.puts,
                             [&](const etcd::Put& put) {
                               const auto item = find(put.key);
                               return item != found.end() && item->value == put.value;
                             }) &&
         std::ranges::all_of(txn.erases, [&](const etcd::Erase& erase) { return find(erase.key) == found.end(); });
}

}  // namespace

net::Result<TxnPlan> ClusterBackend::plan_now(const Plan& plan, const std::set<kube::ObjectKey>& done) {
  const ObjectMemory::Hold hold = memory_.hold();
  auto edit = plan(done);
  if (!edit) return edit.error();
  return plan_txns(*edit, memory_, view_, keys_);
}

net::Result<etcd::TxnResult> ClusterBackend::commit(const etcd::Txn& txn) {
  auto result = etcd_.txn(txn);
  if (result || result.error().code != ErrorCode::kDeadlineExceeded) return result;
  // It was sent and may have been done. Its conditions hold once at most, so it can be sent again; when they do not
  // hold any more, the keys tell whether it was this very transaction that changed them.
  etcd::Txn again = txn;
  for (const etcd::Put& put : txn.puts) again.ranges_else.push_back(put.key);
  for (const etcd::Erase& erase : txn.erases) again.ranges_else.push_back(erase.key);
  result = etcd_.txn(again);
  if (!result) {
    return net::deadline_exceeded(fmt::format(
        "{}; whether it was done is not known: see what is in force when etcd answers again", result.error().message));
  }
  if (!result->succeeded) result->succeeded = is_as_written(txn, result->found);
  return result;
}

net::Result<void> ClusterBackend::wait_for(std::int64_t revision) {
  if (etcd_.wait_for_revision(revision, kSeenTimeout)) return {};
  return net::deadline_exceeded(
      fmt::format("etcd has it as revision {}, but it did not come to this node within {} s: it comes when this node "
                  "follows etcd again",
                  revision, std::chrono::duration_cast<std::chrono::seconds>(kSeenTimeout).count()));
}

net::Result<ClusterBackend::Step> ClusterBackend::commit_all(std::vector<PlannedTxn> txns,
                                                             std::set<kube::ObjectKey>& done,
                                                             std::optional<net::Error>& refused) {
  for (const PlannedTxn& planned : txns) {
    auto written = commit(planned.txn);
    if (!written) return written.error();
    if (written->succeeded) done.insert(planned.objects.begin(), planned.objects.end());
    if (auto seen = wait_for(written->revision); !seen) return seen.error();
    if (!written->succeeded) return Step::kRaced;
    if (auto error = view_.error_of(written->revision)) refused = std::move(error);
  }
  return Step::kDone;
}

net::Result<void> ClusterBackend::change(const Plan& plan) {
  const std::lock_guard guard(mutex_);
  std::set<kube::ObjectKey> done;
  std::optional<net::Error> refused;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto planned = plan_now(plan, done);
    if (!planned) return told(planned.error(), done);
    if (planned->is_stale) continue;
    auto step = commit_all(std::move(planned->txns), done, refused);
    if (!step) return told(step.error(), done);
    if (*step == Step::kRaced) continue;
    if (refused) return *std::move(refused);
    return {};
  }
  return told(
      net::unavailable(fmt::format("etcd: others changed the same objects {} times in a row; try again", kAttempts)),
      done);
}

}  // namespace millrace::control::agent::cluster
