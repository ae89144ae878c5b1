/// Watchers: the open Watch streams.
///
/// Shape:   at most kWatcherLimit; each gets one event and then stays open until its client leaves or the switch ends.
/// Thread:  any.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <mutex>
#include <unordered_set>

#include "control/api/switch.pb.h"

namespace millrace::control::switchd {

inline constexpr std::size_t kWatcherLimit = 64;

class Watchers {
 public:
  /// A stream for gRPC; RESOURCE_EXHAUSTED past the limit, UNAVAILABLE after `finish_all`.
  grpc::ServerWriteReactor<api::WatchEvent>* open(api::WatchEvent event);
  /// Ends every stream with UNAVAILABLE.
  void finish_all();

 private:
  class Stream;
  void forget(Stream* stream);

  std::mutex mutex_;
  bool finished_ = false;
  std::unordered_set<Stream*> streams_;
};

}  // namespace millrace::control::switchd
