/// The service over a real unix socket, and a client of it.
#pragma once

#include <grpcpp/client_context.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "control/api/unix_socket.h"
#include "control/switch/service.h"
#include "tests/switch/test_switch.h"

namespace millrace::control::switchd {

class ServiceTest : public testing::Test {
 protected:
  explicit ServiceTest(const TestSwitchOptions& options = {}) : sw_(options) {}
  void SetUp() override {
    char name[] = "/tmp/millrace-switch-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    InstanceInfo info;
    info.instance_id = "first";
    info.version = "test";
    info.packets_limit = sw_.pool.size();
    info.topology.add_reasons("because");
    flow_scans_ = std::make_unique<FlowScans>(sw_.access);
    events_ = std::make_unique<EventHub>(*sw_.state, sw_.access);
    service_ = std::make_unique<SwitchService>(*sw_.state, *flow_scans_, *events_, info,
                                               [this] { return sw_.pool.free_count(); });
    auto server = api::UnixServer::listen(socket(), *service_);
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = std::move(server).value();
    stub_ = api::Switch::NewStub(api::open_channel(socket()));
  }
  void TearDown() override {
    stop();
    std::filesystem::remove_all(directory_);
  }
  void stop() {
    if (service_) service_->end_watches();
    server_.reset();
  }
  /// A directory that gRPC has to escape in its address, made by the server.
  std::string socket() const { return directory_ + "/run 100%/switch.sock"; }

  grpc::Status apply(const api::ApplyRequest& request, api::ApplyReply* reply) {
    grpc::ClientContext context;
    return stub_->Apply(&context, request, reply);
  }

  std::string directory_;
  TestSwitch sw_;
  std::unique_ptr<FlowScans> flow_scans_;
  std::unique_ptr<EventHub> events_;
  std::unique_ptr<SwitchService> service_;
  std::unique_ptr<api::UnixServer> server_;
  std::unique_ptr<api::Switch::Stub> stub_;
};

}  // namespace millrace::control::switchd
