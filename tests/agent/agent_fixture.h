/// A whole agent over its socket with the real kernel, in a private network namespace as the node; needs root, else its
/// tests skip. The switch is a recording one.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "control/agent/agent.h"
#include "control/api/agent.grpc.pb.h"
#include "control/netlink/netlink.h"
#include "tests/agent/recording_switch.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent {

class AgentTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!enter_private_netns()) GTEST_SKIP() << "needs the right to make network namespaces";
    auto parsed = config::parse("runtimeDir: " + directory_.file("run") + "\nstateDir: " + directory_.file("state") +
                                    "\nnodeName: node-a\nhostPort: millrace9\n",
                                "test");
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    config_ = *parsed;
    start_switch("one");
    start_agent();
  }
  void TearDown() override {
    agent_.reset();
    switch_.reset();
  }
  void start_switch(const std::string& id) {
    switch_.reset();
    switch_ = std::make_unique<RecordingSwitch>(config_.switch_socket(), id);
  }
  void start_agent() {
    agent_.reset();
    auto started = Agent::start(config_);
    ASSERT_TRUE(started.ok()) << started.error().message;
    agent_ = *std::move(started);
    stub_ = api::Agent::NewStub(api::open_channel(config_.agent_socket()));
  }

  static void fill(api::AttachmentKey& key, const std::string& container) {
    key.set_network("net");
    key.set_container_id(container);
    key.set_ifname("eth0");
  }
  const std::string& netns(const std::string& container) {
    const std::lock_guard guard(mutex_);
    auto& pod = pods_[container];
    if (!pod) pod = std::make_unique<ScratchNetns>(directory_.file(container));
    EXPECT_TRUE(pod->made());
    return pod->path();
  }
  api::AddPodRequest add_request(const std::string& container) {
    api::AddPodRequest request;
    fill(*request.mutable_key(), container);
    request.set_netns(netns(container));
    request.set_pod_namespace("default");
    request.set_pod_name(container);
    return request;
  }
  grpc::Status add(const api::AddPodRequest& request, api::AddPodReply* reply = nullptr) {
    grpc::ClientContext context;
    api::AddPodReply ignored;
    return stub_->AddPod(&context, request, reply != nullptr ? reply : &ignored);
  }
  grpc::Status add(const std::string& container) { return add(add_request(container)); }
  grpc::Status del(const std::string& container) {
    grpc::ClientContext context;
    api::DelPodRequest request;
    api::DelPodReply reply;
    fill(*request.mutable_key(), container);
    return stub_->DelPod(&context, request, &reply);
  }
  grpc::Status check(const std::string& container) {
    grpc::ClientContext context;
    api::CheckPodRequest request;
    api::CheckPodReply reply;
    fill(*request.mutable_key(), container);
    request.set_netns(netns(container));
    return stub_->CheckPod(&context, request, &reply);
  }
  api::AgentStatus status() {
    grpc::ClientContext context;
    api::AgentStatus reply;
    EXPECT_TRUE(stub_->GetStatus(&context, api::AgentStatusRequest(), &reply).ok());
    return reply;
  }
  api::ListPodsReply list() {
    grpc::ClientContext context;
    api::ListPodsReply reply;
    EXPECT_TRUE(stub_->ListPods(&context, api::ListPodsRequest(), &reply).ok());
    return reply;
  }
  bool has_link(const std::string& name) { return netlink::Netlink::open()->link(name).ok(); }

  ScratchDirectory directory_;
  config::Config config_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<ScratchNetns>> pods_;
  std::unique_ptr<RecordingSwitch> switch_;
  std::unique_ptr<Agent> agent_;
  std::unique_ptr<api::Agent::Stub> stub_;
};

}  // namespace millrace::control::agent
