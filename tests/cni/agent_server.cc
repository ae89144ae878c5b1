#include "tests/cni/agent_server.h"

#include <grpcpp/generic/async_generic_service.h>
#include <gtest/gtest.h>

#include <atomic>

namespace millrace::cni_shim::testing {
namespace {

std::string text_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!buffer.Dump(&slices).ok()) return text;
  for (const grpc::Slice& slice : slices) text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return text;
}

}  // namespace

class AgentServer::Service final : public grpc::CallbackGenericService {
 public:
  explicit Service(AgentServer::Handler handler) : handler_(std::move(handler)) {}

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    return new Call(*this, *context);
  }

  std::vector<SeenCall> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  /// One call; deletes itself when gRPC is done with it.
  class Call final : public grpc::ServerGenericBidiReactor {
   public:
    Call(Service& service, grpc::GenericCallbackServerContext& context) : service_(service), context_(context) {
      StartRead(&request_);
    }
    void OnReadDone(bool ok) override {
      if (!ok) return Finish(grpc::Status(grpc::StatusCode::INTERNAL, "no request"));
      const std::string request = text_of(request_);
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(context_.deadline() - std::chrono::system_clock::now());
      service_.note({context_.method(), request, left});
      const Reply reply = service_.handler_(context_.method(), request);
      if (reply.hang) return;
      if (!reply.status.ok()) return Finish(reply.status);
      const grpc::Slice slice(reply.message);
      answer_ = grpc::ByteBuffer(&slice, 1);
      StartWriteAndFinish(&answer_, grpc::WriteOptions(), grpc::Status::OK);
      answered_ = true;
    }
    void OnCancel() override {
      if (!answered_) Finish(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

   private:
    Service& service_;
    grpc::GenericCallbackServerContext& context_;
    grpc::ByteBuffer request_;
    grpc::ByteBuffer answer_;
    std::atomic<bool> answered_ = false;
  };

  void note(SeenCall call) {
    const std::lock_guard lock(mutex_);
    seen_.push_back(std::move(call));
  }

  AgentServer::Handler handler_;
  mutable std::mutex mutex_;
  std::vector<SeenCall> seen_;
};

AgentServer::AgentServer(const std::string& socket_path, AgentServer::Handler handler)
    : service_(std::make_unique<Service>(std::move(handler))) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket_path, grpc::InsecureServerCredentials());
  builder.SetMaxSendMessageSize(-1);
  builder.RegisterCallbackGenericService(service_.get());
  server_ = builder.BuildAndStart();
  EXPECT_NE(server_, nullptr) << "cannot listen on " << socket_path;
}

AgentServer::~AgentServer() { stop(); }

std::vector<SeenCall> AgentServer::seen() const { return service_->seen(); }

void AgentServer::stop() {
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

}  // namespace millrace::cni_shim::testing
