#include "control/etcd/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/etcd/files.h"

namespace millrace::control::etcd {
namespace {

std::chrono::system_clock::time_point on_the_wall(Session::Clock::time_point time) {
  return std::chrono::system_clock::now() +
         std::chrono::duration_cast<std::chrono::system_clock::duration>(time - Session::Clock::now());
}

/// Empty: there is a connection, or the attempt to make one has failed and a call will say why at once.
grpc::Status wait_connected(grpc::Channel& channel, Session::Clock::time_point deadline) {
  for (;;) {
    const grpc_connectivity_state state = channel.GetState(true);
    if (state != GRPC_CHANNEL_IDLE && state != GRPC_CHANNEL_CONNECTING) return {};
    if (!channel.WaitForStateChange(state, on_the_wall(deadline))) {
      return {grpc::StatusCode::UNAVAILABLE, "no connection in time"};
    }
  }
}

net::Error unknown_outcome(const std::string& url, const grpc::Status& status) {
  return net::deadline_exceeded(
      fmt::format("etcd {}: {}; the write may have been done: read before writing again", url, reason_of(status)));
}

/// What each member of the last round said, for a person.
std::string sentence(const std::vector<std::string>& said) {
  std::string text = "no endpoint of etcd can answer: ";
  for (const std::string& one : said) text.append(&one == &said.front() ? "" : "; ").append(one);
  return text;
}

}  // namespace

net::Result<void> Session::run(Kind kind, const Attempt& attempt, Time timeout, Interrupt* interrupt) {
  const Clock::time_point end = Clock::now() + timeout;
  for (;;) {
    std::vector<std::string> said;
    bool is_worth_a_round = false;
    const std::size_t first = current_.load();
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (interrupt != nullptr && interrupt->is_set()) return net::unavailable("stopped");
      Member& member = *members_[(first + i) % members_.size()];
      const auto left = std::max(end - Clock::now(), Clock::duration::zero());
      const Deadline deadline{.turn = Clock::now() + left / static_cast<int>(members_.size() - i), .whole = end};
      const Outcome outcome = try_member(member, kind, attempt, deadline, interrupt);
      if (outcome.status.ok()) {
        if (i != 0) current_ = member.index;
        return {};
      }
      if (outcome.fault == Fault::kAnswer || outcome.fault == Fault::kToken) {
        return to_error(outcome.status, member.endpoint.url);
      }
      leave(member);
      if (outcome.fault == Fault::kUnknown && kind == Kind::kOnce)
        return unknown_outcome(member.endpoint.url, outcome.status);
      is_worth_a_round = is_worth_a_round || outcome.fault != Fault::kUnreachable;
      said.push_back(fmt::format("{}: {}", member.endpoint.url, reason_of(outcome.status)));
    }
    if (!is_worth_a_round || Clock::now() + kRoundPause >= end) return net::unavailable(sentence(said));
    Interrupt none;
    (interrupt != nullptr ? *interrupt : none).pause(kRoundPause);
  }
}

Session::Outcome Session::try_member(Member& member, Kind kind, const Attempt& attempt, Deadline deadline,
                                     Interrupt* interrupt) {
  // Only before it is given to a connection is it certain that a write was not sent.
  if (kind == Kind::kOnce) {
    if (auto status = wait_connected(*member.channel, deadline.turn); !status.ok())
      return {status, Fault::kUnreachable};
  }
  const Clock::time_point end = kind == Kind::kOnce ? deadline.whole : deadline.turn;
  Outcome outcome;
  for (int i = 0; i < 2; ++i) {
    if (outcome = authenticate(member, deadline.turn, interrupt); !outcome.status.ok()) return outcome;
    grpc::ClientContext context;
    context.set_deadline(on_the_wall(end));
    add_metadata(member, &context);
    const Interrupt::Scope scope(interrupt, &context);
    outcome.status = attempt(member, &context);
    if (outcome.status.ok()) return outcome;
    outcome.fault = fault_of(outcome.status);
    if (outcome.fault != Fault::kToken || options_.user.empty()) return outcome;
    forget_token(member);
  }
  return outcome;
}

Session::Outcome Session::authenticate(Member& member, Clock::time_point deadline, Interrupt* interrupt) {
  if (options_.user.empty()) return {};
  const std::lock_guard lock(member.mutex);  // one asks, the others use what it got
  if (!member.token.empty()) return {};
  const auto password = read_password(options_.password_file);
  if (!password) return {{grpc::StatusCode::PERMISSION_DENIED, password.error().message}, Fault::kAnswer};
  etcdserverpb::AuthenticateRequest request;
  request.set_name(options_.user);
  request.set_password(*password);
  etcdserverpb::AuthenticateResponse response;
  grpc::ClientContext context;
  context.set_deadline(on_the_wall(deadline));
  context.AddMetadata("hasleader", "true");
  const Interrupt::Scope scope(interrupt, &context);
  const grpc::Status status = member.auth->Authenticate(&context, request, &response);
  if (status.ok()) {
    member.token = response.token();
    return {};
  }
  // A cluster without authentication has no use for a user.
  if (status.error_message() == "etcdserver: authentication is not enabled") return {};
  const Fault fault = fault_of(status);
  return {status, fault == Fault::kUnknown ? Fault::kRefused : fault};  // what was to be done was not sent yet
}

void Session::add_metadata(Member& member, grpc::ClientContext* context) {
  context->AddMetadata("hasleader", "true");
  const std::lock_guard lock(member.mutex);
  if (!member.token.empty()) context->AddMetadata("token", member.token);
}

net::Result<void> Session::prepare(Member& member, grpc::ClientContext* context, Interrupt* interrupt) {
  const Outcome outcome = authenticate(member, Clock::now() + options_.timeout, interrupt);
  if (!outcome.status.ok()) {
    if (outcome.fault == Fault::kAnswer) return to_error(outcome.status, member.endpoint.url);
    return net::unavailable(fmt::format("etcd {}: {}", member.endpoint.url, reason_of(outcome.status)));
  }
  add_metadata(member, context);
  return {};
}

void Session::leave(const Member& member) {
  std::size_t turn = current_.load();
  if (turn % members_.size() == member.index) current_.compare_exchange_strong(turn, (turn + 1) % members_.size());
}

void Session::forget_token(Member& member) {
  const std::lock_guard lock(member.mutex);
  member.token.clear();
}

}  // namespace millrace::control::etcd
