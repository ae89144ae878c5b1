#include "control/switch/packet_stream.h"

#include <mutex>
#include <utility>

#include "control/api/grpc_status.h"

namespace millrace::control::switchd {
namespace {

/// gRPC uses it from `open` to OnDone, the hub's thread for as long as it calls: so it is shared, and itself one who
/// shares until OnDone. Nothing is written after Finish: both are decided under the mutex, and said without it, because
/// gRPC may call back at once.
class PacketStream final : public grpc::ServerWriteReactor<api::PacketEvents>, public PacketListener {
 public:
  explicit PacketStream(EventHub& hub) : hub_(hub) {}

  static PacketStream* open(EventHub& hub, const api::WatchPacketsRequest& request) {
    auto stream = std::make_shared<PacketStream>(hub);
    stream->self_ = stream;
    auto watch = hub.open(request, stream);
    if (!watch) {
      stream->is_ended_ = true;
      stream->Finish(api::to_status(watch.error()));
      return stream.get();
    }
    {
      const std::lock_guard lock(stream->mutex_);
      stream->watch_ = std::move(watch).value();
    }
    stream->on_packets();
    return stream.get();
  }

  void on_packets() override {
    grpc::Status status;
    {
      const std::lock_guard lock(mutex_);
      if (is_ended_ || is_writing_ || watch_ == nullptr) return;
      if (is_cancelled_) {
        status = grpc::Status::CANCELLED;
        is_ended_ = true;
      } else if (watch_->take(message_)) {
        is_writing_ = true;
      } else if (const auto end = watch_->ended()) {
        status = api::to_status(*end);
        is_ended_ = true;
      } else {
        return;
      }
    }
    if (status.ok()) {
      StartWrite(&message_);
    } else {
      Finish(status);
    }
  }

  void OnWriteDone(bool ok) override {
    {
      const std::lock_guard lock(mutex_);
      is_writing_ = false;
      is_cancelled_ |= !ok;
    }
    on_packets();
  }
  void OnCancel() override {
    {
      const std::lock_guard lock(mutex_);
      is_cancelled_ = true;
    }
    on_packets();
  }
  void OnDone() override {
    const auto self = std::move(self_);
    if (watch_ != nullptr) hub_.close(watch_);
  }

 private:
  EventHub& hub_;
  std::shared_ptr<PacketStream> self_;
  std::mutex mutex_;
  std::shared_ptr<PacketWatch> watch_;
  api::PacketEvents message_;
  bool is_writing_ = false;
  bool is_cancelled_ = false;
  bool is_ended_ = false;
};

}  // namespace

grpc::ServerWriteReactor<api::PacketEvents>* open_packet_stream(EventHub& hub,
                                                                const api::WatchPacketsRequest& request) {
  return PacketStream::open(hub, request);
}

}  // namespace millrace::control::switchd
