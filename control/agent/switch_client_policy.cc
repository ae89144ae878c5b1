// The policy of switch_client.h.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "control/agent/switch_client.h"

namespace millrace::control::agent {
namespace {

/// The change was refused; not: nobody knows, or it is made and late.
bool is_refusal(const net::Error& error) {
  return error.code != net::ErrorCode::kUnavailable && error.code != net::ErrorCode::kDeadlineExceeded;
}

/// By port.
std::map<std::string, std::string> failures_of(const api::ApplyReply& reply) {
  std::map<std::string, std::string> failures;
  for (const api::PolicyFailure& failure : reply.policy_failures()) {
    for (const std::string& port : failure.ports()) failures[port] = failure.message();
  }
  return failures;
}

void copy_removes(const api::ApplyRequest& from, api::ApplyRequest& to) {
  *to.mutable_remove_endpoints() = from.remove_endpoints();
  *to.mutable_remove_groups() = from.remove_groups();
  *to.mutable_remove_policies() = from.remove_policies();
  *to.mutable_remove_port_policies() = from.remove_port_policies();
}

}  // namespace

net::Result<std::uint64_t> SwitchClient::update_policy(const api::ApplyRequest& delta) {
  const std::lock_guard one_after_another(policy_order_);
  const std::shared_lock order(apply_order_);  // without a time limit: as update_services()
  api::ApplyRequest request;
  {
    const std::lock_guard guard(mutex_);
    policy_.merge(delta);
    policy_debt_.trim(policy_);
    if (policy_debt_.empty()) {
      request = delta;
    } else {
      copy_removes(delta, request);
      PolicyDebt with_delta = policy_debt_;
      with_delta.note(delta);
      with_delta.write_paying(policy_, request);
    }
  }
  if (auto in_sync = check_in_sync(); !in_sync) return in_sync.error();
  if (is_without_policy(request)) return status().generation;
  auto reply = apply(request, kLongApply);
  if (reply) {
    note_policy_failures(*reply);
    const std::lock_guard guard(mutex_);
    if (!policy_debt_.empty()) spdlog::info("policy: the switch has all of it again, no pod is closed");
    policy_debt_ = {};
    return reply->generation();
  }
  if (!is_refusal(reply.error())) return reply.error();
  return close_refused(delta, reply.error());
}

net::Result<std::uint64_t> SwitchClient::close_refused(const api::ApplyRequest& delta, const net::Error& why) {
  spdlog::warn("policy: {}: closing the pods concerned, to open one after another", why.message);
  api::ApplyRequest closing;
  copy_removes(delta, closing);
  const api::ApplyRequest removes = closing;
  {
    const std::lock_guard guard(mutex_);
    policy_debt_.add(delta, policy_);
    policy_debt_.write_closing(closing);
  }
  *closing.mutable_upsert_endpoints() = delta.upsert_endpoints();
  auto closed = apply(closing, kLongApply);
  if (!closed && is_refusal(closed.error()) && !delta.upsert_endpoints().empty()) {
    // Not even the endpoints fit: without an identity, no selector lets them in.
    closing = removes;
    {
      const std::lock_guard guard(mutex_);
      for (const api::Endpoint& endpoint : delta.upsert_endpoints()) policy_debt_.endpoints.insert(endpoint.address());
      policy_debt_.write_closing(closing);
    }
    closed = apply(closing, kLongApply);
  }
  if (!closed) return closed.error();
  if (auto paid = pay_policy_debt(); !paid) return paid.error();
  const std::lock_guard guard(mutex_);
  if (policy_debt_.empty()) return status_.generation;
  return net::Error{why.code, fmt::format("{}; closed until it fits: {}", why.message, policy_debt_.text())};
}

net::Result<api::ApplyReply> SwitchClient::apply_closed(api::ApplyRequest request, const net::Error& why) {
  spdlog::warn("the desired state is refused ({}): once more without policy, then that for one pod after another",
               why.message);
  request.clear_upsert_groups();
  request.clear_upsert_policies();
  request.clear_upsert_port_policies();
  {
    const std::lock_guard guard(mutex_);
    policy_debt_.add_everything(policy_);
  }
  auto reply = apply(request, kLongApply);
  if (!reply && is_refusal(reply.error()) && !request.upsert_endpoints().empty()) {
    {
      const std::lock_guard guard(mutex_);
      for (const api::Endpoint& each : request.upsert_endpoints()) policy_debt_.endpoints.insert(each.address());
    }
    request.clear_upsert_endpoints();
    reply = apply(request, kLongApply);
  }
  if (!reply) return reply;
  if (auto paid = pay_policy_debt(); !paid) return paid.error();
  return reply;
}

net::Result<void> SwitchClient::pay_policy_debt() {
  PolicyDebt debt;
  {
    const std::lock_guard guard(mutex_);
    debt = policy_debt_;
  }
  for (const std::string& port : debt.ports) {
    api::ApplyRequest request;
    PolicyDebt part;
    {
      const std::lock_guard guard(mutex_);
      part = policy_debt_.part_of(port, policy_);
      part.write_paying(policy_, request);
    }
    auto paid = apply(request, kLongApply);
    if (!paid && !is_refusal(paid.error())) return paid.error();
    if (paid) note_policy_failures(*paid);
    const std::lock_guard guard(mutex_);
    if (paid) {
      policy_debt_.subtract(part);
    } else {
      spdlog::warn("policy: port {} stays closed: {}", port, paid.error().message);
      policy_debt_.reason = paid.error().message;
    }
  }
  const std::lock_guard guard(mutex_);
  if (policy_debt_.ports.empty() && policy_debt_.endpoints.empty()) policy_debt_ = {};
  return {};
}

net::Result<void> SwitchClient::check_policy(const api::ApplyRequest& delta) {
  if (is_without_policy(delta) || !check_in_sync()) return {};
  api::ApplyRequest request;
  {
    const std::lock_guard guard(mutex_);
    // What the switch lacks may be named by what is asked about.
    PolicyDebt lacking = policy_debt_;
    lacking.ports.clear();
    lacking.endpoints.clear();
    if (!lacking.empty()) {
      PolicyState wanted = policy_;
      wanted.merge(delta);
      lacking.trim(wanted);
      PolicyDebt asked;
      asked.note(delta);
      lacking.subtract(asked);
      lacking.write_paying(wanted, request);
    }
  }
  request.MergeFrom(delta);
  request.set_dry_run(true);
  auto reply = apply(request, kLongApply);
  if (reply || !is_refusal(reply.error())) return {};
  return reply.error();
}

void SwitchClient::note_policy_failures(const api::ApplyReply& reply) {
  auto failures = failures_of(reply);
  const std::lock_guard guard(mutex_);
  for (const auto& [port, message] : failures) {
    if (!policy_failures_.contains(port)) spdlog::warn("policy: port {} is closed: {}", port, message);
  }
  policy_failures_ = std::move(failures);
}

std::optional<std::string> SwitchClient::closed_reason(const std::string& port) const {
  const std::lock_guard guard(mutex_);
  if (policy_debt_.ports.contains(port)) return policy_debt_.reason;
  if (const auto failure = policy_failures_.find(port); failure != policy_failures_.end()) return failure->second;
  return std::nullopt;
}

}  // namespace millrace::control::agent
