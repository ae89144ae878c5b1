/// A real gRPC server (libgrpc++) on a unix socket, for the plugin's own small client to meet.
///
/// It serves any method by name, with bytes in and bytes out, because the plugin's messages are of protobuf-lite and
/// the generated service of the full runtime may not be in the same program.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace millrace::cni_shim::testing {

/// What a handler makes of a call. kHang: no answer until the caller gives up.
struct Reply {
  grpc::Status status;
  std::string message;
  bool hang = false;
};

struct SeenCall {
  std::string method;
  std::string request;
  std::chrono::milliseconds time_left{0};
};

class AgentServer {
 public:
  using Handler = std::function<Reply(const std::string& method, const std::string& request)>;

  AgentServer(const std::string& socket_path, Handler handler);
  AgentServer(const AgentServer&) = delete;
  AgentServer& operator=(const AgentServer&) = delete;
  ~AgentServer();

  /// The calls so far, in order.
  std::vector<SeenCall> seen() const;
  /// Ends the server now; calls under way are cut off.
  void stop();

 private:
  class Service;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace millrace::cni_shim::testing
