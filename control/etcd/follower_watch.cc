// The watch: its stream, its events and its end.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "control/etcd/fault.h"
#include "control/etcd/follower.h"
#include "control/etcd/prefix.h"
#include "control/etcd/reads.h"

namespace millrace::control::etcd {
namespace {

// Ours, so that what answers a progress request (-1) is never taken for it.
constexpr std::int64_t kWatchId = 1;

etcdserverpb::WatchRequest creation(const std::string& prefix, std::int64_t start_revision) {
  etcdserverpb::WatchRequest request;
  etcdserverpb::WatchCreateRequest& create = *request.mutable_create_request();
  create.set_key(prefix_start(prefix));
  create.set_range_end(prefix_end(prefix));
  create.set_start_revision(start_revision);
  create.set_progress_notify(true);
  create.set_fragment(true);
  create.set_watch_id(kWatchId);
  return request;
}

etcdserverpb::WatchRequest sign_of_life() {
  etcdserverpb::WatchRequest request;
  request.mutable_progress_request();
  return request;
}

}  // namespace

net::Error Mirror::Follower::watch() {
  Session::Member& member = session_.member();
  grpc::ClientContext context;
  if (const auto prepared = session_.prepare(member, &context, &interrupt_); !prepared) {
    session_.leave(member);
    return prepared.error();
  }
  events_.clear();
  watch_id_ = kWatchId;
  Watch stream(&context, &interrupt_, [&member](grpc::ClientContext* made, grpc::CompletionQueue* queue) {
    return member.watch->PrepareAsyncWatch(made, queue);
  });
  stream.send(creation(prefix_, revision() + 1));
  const net::Error why = follow(stream, member);
  return {why.code, fmt::format("etcd {}: {}", member.endpoint.url, why.message)};
}

net::Error Mirror::Follower::follow(Watch& stream, Session::Member& member) {
  bool is_asked = true;  // the creation is to be answered as well
  etcdserverpb::WatchResponse response;
  for (;;) {
    switch (stream.next(&response, Clock::now() + (is_asked ? times_.answer : times_.silence))) {
      case Watch::Next::kEnded:
        if (fault_of(stream.status()) == Fault::kToken) session_.forget_token(member);
        session_.leave(member);
        return net::unavailable(reason_of(stream.status()));
      case Watch::Next::kNothing:
        if (is_asked) {
          session_.leave(member);
          return net::unavailable("no sign of life");
        }
        stream.send(sign_of_life());
        is_asked = true;
        break;
      case Watch::Next::kMessage:
        is_asked = false;
        if (const auto taken = take(response, member); !taken) return taken.error();
        if (interrupt_.is_set()) return net::unavailable("stopped");
        break;
    }
  }
}

net::Result<void> Mirror::Follower::take(const etcdserverpb::WatchResponse& response, Session::Member& member) {
  if (response.header().cluster_id() != cluster_id_) {
    must_read_ = true;
    return net::unavailable("another cluster answers");
  }
  if (response.header().revision() > kLastRevision) return net::internal_error("a revision that cannot be");
  if (response.canceled() || response.compact_revision() != 0) return canceled(response, member);
  if (response.created()) return take_created(response);
  if (response.watch_id() != watch_id_) return {};
  if (!response.events().empty() || !events_.empty()) {
    add_events(response);
    if (!response.fragment()) emit_events();
  } else {
    come_to(response.header().revision());
  }
  return {};
}

net::Result<void> Mirror::Follower::take_created(const etcdserverpb::WatchResponse& response) {
  watch_id_ = response.watch_id();
  // A member may lag behind the one that was read from, or the cluster may have been set back to a backup: then it
  // would say nothing until it counts that far again. A read that every member agrees to tells the two apart.
  if (response.header().revision() < revision()) {
    const auto now = read_range(session_, {.prefix = prefix_, .from_key = "", .limit = 1}, &interrupt_);
    if (!now) return now.error();
    if (now->revision < revision() || now->cluster_id != cluster_id_) {
      must_read_ = true;
      return net::unavailable("the cluster was set back to an earlier state");
    }
  }
  backoff_.reset();
  const std::lock_guard lock(mutex_);
  status_.connected = true;
  status_.message.clear();
  return {};
}

net::Error Mirror::Follower::canceled(const etcdserverpb::WatchResponse& response, Session::Member& member) {
  if (response.compact_revision() != 0) {
    must_read_ = true;
    return net::failed_precondition(fmt::format("compacted up to revision {}", response.compact_revision()));
  }
  // etcd 3.4 says "permission denied" as well of a token that it does not know.
  session_.forget_token(member);
  session_.leave(member);
  const std::string& reason = response.cancel_reason();
  return net::permission_denied(fmt::format("the watch was refused: {}", reason.empty() ? "no reason given" : reason));
}

void Mirror::Follower::add_events(const etcdserverpb::WatchResponse& response) {
  for (const mvccpb::Event& event : response.events()) {
    KeyEvent made{.key = event.kv().key(), .revision = event.kv().mod_revision(), .after = {}};
    if (made.revision > kLastRevision || !mvccpb::Event::EventType_IsValid(event.type())) continue;
    if (event.type() == mvccpb::Event::PUT) made.after = to_key_value(event.kv());
    events_.push_back(std::move(made));
  }
}

void Mirror::Follower::emit_events() {
  std::vector<KeyEvent> events = std::exchange(events_, {});
  for (auto first = events.begin(); first != events.end() && !interrupt_.is_set();) {
    const std::int64_t revision = first->revision;
    const auto last =
        std::find_if(first, events.end(), [&](const KeyEvent& event) { return event.revision != revision; });
    std::vector<Change> changes;
    bool is_new = false;
    {
      const std::lock_guard lock(mutex_);
      is_new = revision > status_.revision;
      is_emitting_ = is_new;
      if (is_new) changes = table_.apply({first, last});
    }
    if (is_new) emit(std::move(changes), revision, false);
    first = last;
  }
}

}  // namespace millrace::control::etcd
