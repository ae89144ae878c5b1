#include "control/etcd/keeper.h"

#include <algorithm>
#include <utility>

namespace millrace::control::etcd {
namespace {

constexpr std::chrono::milliseconds kFirstBackoff{200}, kLastBackoff{5000};
constexpr std::int64_t kMaxTtlS = 24 * 3600;  // whatever etcd says: renewed three times a day at least

}  // namespace

Lease::Keeper::Keeper(Session& session, std::chrono::seconds ttl, Granted on_granted)
    : session_(session),
      wanted_ttl_(std::max(ttl, std::chrono::seconds(1))),
      on_granted_(std::move(on_granted)),
      ttl_(wanted_ttl_),
      backoff_(kFirstBackoff, std::clamp<std::chrono::milliseconds>(wanted_ttl_ / 3, kFirstBackoff, kLastBackoff)),
      thread_([this] { run(); }) {}

Lease::Keeper::~Keeper() {
  interrupt_.set();
  thread_.join();
  if (id_ != 0 && !is_left_) revoke();
}

std::int64_t Lease::Keeper::id() const {
  const std::lock_guard lock(mutex_);
  return id_;
}

bool Lease::Keeper::is_alive() const {
  const std::lock_guard lock(mutex_);
  return id_ != 0 && Clock::now() < alive_until_;
}

std::chrono::milliseconds Lease::Keeper::third() const {
  const std::lock_guard lock(mutex_);
  return std::chrono::milliseconds(ttl_) / 3;
}

void Lease::Keeper::set_alive(Clock::time_point asked, std::int64_t ttl_s) {
  const std::lock_guard lock(mutex_);
  ttl_ = std::chrono::seconds(std::clamp<std::int64_t>(ttl_s, 0, kMaxTtlS));
  alive_until_ = asked + ttl_;
}

void Lease::Keeper::run() {
  while (!interrupt_.is_set()) {
    if (!has_lease_) {
      has_lease_ = grant();
      if (has_lease_) continue;
    } else if (renew() == End::kLost) {
      has_lease_ = false;
    }
    interrupt_.pause(backoff_.next());
  }
}

bool Lease::Keeper::grant() {
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(wanted_ttl_.count());
  etcdserverpb::LeaseGrantResponse response;
  const Clock::time_point asked = Clock::now();
  // Asked twice is no harm: a lease that nobody renews goes by itself.
  const auto done = session_.run(
      Session::Kind::kRepeat,
      [&](Session::Member& member, grpc::ClientContext* context) {
        return member.lease->LeaseGrant(context, request, &response);
      },
      session_.timeout(), &interrupt_);
  if (!done || !response.error().empty() || response.id() == 0 || response.ttl() <= 0) return false;
  set_alive(asked, response.ttl());
  {
    const std::lock_guard lock(mutex_);
    id_ = response.id();
  }
  if (on_granted_ && !interrupt_.is_set()) on_granted_(response.id());
  return true;
}

Lease::Keeper::End Lease::Keeper::renew() {
  Session::Member& member = session_.member();
  grpc::ClientContext context;
  if (!session_.prepare(member, &context, &interrupt_)) {
    session_.leave(member);
    return End::kStream;
  }
  KeepAlive stream(&context, &interrupt_, [&member](grpc::ClientContext* made, grpc::CompletionQueue* queue) {
    return member.lease->PrepareAsyncLeaseKeepAlive(made, queue);
  });
  for (;;) {
    const Clock::time_point asked = Clock::now();
    const auto ttl_s = renew_once(stream);
    if (!ttl_s) break;
    set_alive(asked, *ttl_s);
    if (*ttl_s <= 0) return End::kLost;
    backoff_.reset();
    // Nothing comes now that was not asked for; the stream may end, and is then opened again before the next third.
    etcdserverpb::LeaseKeepAliveResponse unasked;
    KeepAlive::Next next = KeepAlive::Next::kMessage;
    while (next == KeepAlive::Next::kMessage) next = stream.next(&unasked, asked + third());
    if (next == KeepAlive::Next::kEnded) break;
  }
  if (stream.status().error_code() == grpc::StatusCode::UNAUTHENTICATED) session_.forget_token(member);
  session_.leave(member);
  return End::kStream;
}

std::optional<std::int64_t> Lease::Keeper::renew_once(KeepAlive& stream) {
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(id());
  stream.send(request);
  const Clock::time_point deadline = Clock::now() + third();
  etcdserverpb::LeaseKeepAliveResponse response;
  while (stream.next(&response, deadline) == KeepAlive::Next::kMessage) {
    if (response.id() == id()) return response.ttl();
  }
  return std::nullopt;
}

void Lease::Keeper::revoke() {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(id_);
  etcdserverpb::LeaseRevokeResponse response;
  const auto done = session_.run(
      Session::Kind::kRepeat,
      [&](Session::Member& member, grpc::ClientContext* context) {
        return member.lease->LeaseRevoke(context, request, &response);
      },
      kRevokeTimeout);
  static_cast<void>(done);  // else it goes by itself, a TTL from now
}

}  // namespace millrace::control::etcd
