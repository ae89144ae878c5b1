/// A thread that drives connections on: gRPC makes progress with one only while some thread waits for its channel.
///
/// Theory:  a call waits until the channel is connected or has failed once. From then on, and until a connection stands,
///          calls fail at once, so that who asks once a second waits for nothing: the attempt of gRPC's timer gets its
///          connection from the kernel, nobody reads the server's first frame, and it times out, as does the next.
///          gRPC's own remedy looks every 5 s, longer than an attempt of ours lasts (session_open.cc).
/// Shape:   the thread waits for each channel's next state, without end; it begins no connection.
/// Thread:  the driver's own. Made before the channels are used; ends in the destructor, which takes the channels: the
///          waiting ends with them.
/// Source:  gRPC, doc/environment_variables.md (GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS),
///          doc/connectivity-semantics-and-api.md
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <thread>
#include <vector>

namespace millrace::control::etcd {

class Driver {
 public:
  explicit Driver(std::vector<std::shared_ptr<grpc::Channel>> channels);
  /// Nobody else has the channels any more.
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

 private:
  void run();
  void wait_for_next_state(std::size_t index);

  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  grpc::CompletionQueue queue_;
  std::thread thread_;
};

}  // namespace millrace::control::etcd
