#include "control/switch/watchers.h"

#include <fmt/core.h>

#include <atomic>
#include <utility>
#include <vector>

namespace millrace::control::switchd {

/// gRPC uses it from `open` to OnDone, which is its last call and comes only after Finish. Finish is said once, by
/// whoever claims the end first: the client that left, or the switch that ends.
class Watchers::Stream final : public grpc::ServerWriteReactor<api::WatchEvent> {
 public:
  Stream(Watchers& watchers, api::WatchEvent event) : watchers_(watchers), event_(std::move(event)) {}

  void write_event() { StartWrite(&event_); }
  bool claim_end() noexcept { return !ended_.exchange(true); }

  void OnWriteDone(bool ok) override {
    if (!ok && claim_end()) Finish(grpc::Status::CANCELLED);
  }
  void OnCancel() override {
    if (claim_end()) Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override {
    watchers_.forget(this);
    delete this;
  }

 private:
  Watchers& watchers_;
  const api::WatchEvent event_;
  std::atomic<bool> ended_{false};
};

grpc::ServerWriteReactor<api::WatchEvent>* Watchers::open(api::WatchEvent event) {
  auto* stream = new Stream(*this, std::move(event));
  grpc::Status refused;
  {
    const std::lock_guard lock(mutex_);
    if (finished_) {
      refused = {grpc::StatusCode::UNAVAILABLE, "the switch is shutting down"};
    } else if (streams_.size() >= kWatcherLimit) {
      refused = {grpc::StatusCode::RESOURCE_EXHAUSTED,
                 fmt::format("{} clients watch already; allowed: {}", streams_.size(), kWatcherLimit)};
    } else {
      streams_.insert(stream);
      stream->write_event();  // under the lock: after it, finish_all may end the stream
    }
  }
  if (!refused.ok() && stream->claim_end()) stream->Finish(refused);
  return stream;
}

void Watchers::finish_all() {
  std::vector<Stream*> ours;
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    for (Stream* stream : streams_) {
      if (stream->claim_end()) ours.push_back(stream);
    }
  }
  for (Stream* stream : ours) stream->Finish({grpc::StatusCode::UNAVAILABLE, "the switch is shutting down"});
}

void Watchers::forget(Stream* stream) {
  const std::lock_guard lock(mutex_);
  streams_.erase(stream);
}

}  // namespace millrace::control::switchd
