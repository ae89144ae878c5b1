/// The other process of the switch client's protocol, for tests of the agent alone: keeps the ports that Apply leaves
/// it with. It has no packets; the whole system's tests run the real millraced.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "control/agent/policy_state.h"
#include "control/api/switch.grpc.pb.h"
#include "control/api/unix_socket.h"

namespace millrace::control::agent {

class RecordingSwitch final : public api::Switch::Service {
 public:
  using Judge = std::function<grpc::Status(const api::ApplyRequest&, api::ApplyReply&)>;

  /// `first_judge`: of the very first Apply on.
  RecordingSwitch(const std::string& socket, std::string instance_id, Judge first_judge = nullptr)
      : judge(std::move(first_judge)), instance_id_(std::move(instance_id)) {
    auto server = api::UnixServer::listen(socket, *this);
    EXPECT_TRUE(server.ok()) << (server.ok() ? "" : server.error().message);
    if (server) server_ = *std::move(server);
  }
  ~RecordingSwitch() override {
    {
      const std::lock_guard guard(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    if (server_) server_->stop(std::chrono::milliseconds(1000));
  }

  /// Decides about each Apply before it is done; the default agrees.
  Judge judge;

  grpc::Status Apply(grpc::ServerContext*, const api::ApplyRequest* request, api::ApplyReply* reply) override {
    if (judge) {
      if (auto status = judge(*request, *reply); !status.ok()) return status;
    }
    const std::lock_guard guard(mutex_);
    if (request->dry_run()) {
      ++dry_runs_;
      reply->set_generation(generation_);
      return grpc::Status::OK;
    }
    if (request->replace_all()) {
      ports_.clear();
      services_.clear();
      policy_ = {};
      ++resyncs_;
    }
    if (request->has_gateway()) gateway_ = request->gateway();
    for (const api::PortSpec& port : request->upsert_ports()) ports_[port.name()] = port;
    for (const std::string& name : request->remove_ports()) {
      ports_.erase(name);
      policy_.ports.erase(name);
    }
    policy_.merge(*request);
    std::erase_if(policy_.ports, [this](const auto& policy) { return !ports_.contains(policy.first); });
    for (const api::Service& service : request->upsert_services()) services_[service.name()] = service;
    for (const std::string& name : request->remove_services()) services_.erase(name);
    if (request->has_nat()) nat_ = request->nat();
    for (const api::PortFailure& failure : reply->failures()) ports_.erase(failure.name());
    reply->set_generation(++generation_);
    changed_.notify_all();
    return grpc::Status::OK;
  }

  grpc::Status Watch(grpc::ServerContext* context, const api::WatchRequest*,
                     grpc::ServerWriter<api::WatchEvent>* writer) override {
    api::WatchEvent event;
    event.set_instance_id(instance_id_);
    writer->Write(event);
    std::unique_lock guard(mutex_);
    // Ends with the server, or is cancelled by a client that goes: looked at now and then, as the real switch need not.
    while (!ending_ && !context->IsCancelled()) changed_.wait_for(guard, std::chrono::milliseconds(50));
    return grpc::Status::OK;
  }

  grpc::Status ListPorts(grpc::ServerContext*, const api::ListPortsRequest*, api::ListPortsReply* reply) override {
    const std::lock_guard guard(mutex_);
    for (const auto& [name, port] : ports_) *reply->add_ports()->mutable_spec() = port;
    return grpc::Status::OK;
  }

  std::vector<std::string> names() const {
    const std::lock_guard guard(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, port] : ports_) names.push_back(name);
    return names;
  }
  std::vector<std::string> service_names() const {
    const std::lock_guard guard(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, service] : services_) names.push_back(name);
    return names;
  }
  /// Empty when there is none of this name.
  api::Service service(const std::string& name) const {
    const std::lock_guard guard(mutex_);
    const auto found = services_.find(name);
    return found == services_.end() ? api::Service() : found->second;
  }
  api::Nat nat() const {
    const std::lock_guard guard(mutex_);
    return nat_;
  }
  api::PortSpec port(const std::string& name) const {
    const std::lock_guard guard(mutex_);
    const auto found = ports_.find(name);
    return found == ports_.end() ? api::PortSpec() : found->second;
  }
  api::Gateway gateway() const {
    const std::lock_guard guard(mutex_);
    return gateway_;
  }
  PolicyState policy() const {
    const std::lock_guard guard(mutex_);
    return policy_;
  }
  /// Pods' ports that something may begin from or to.
  std::vector<std::string> open_ports() const {
    const std::lock_guard guard(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, port] : ports_) {
      if (port.kind() == api::PORT_KIND_POD && is_open(port)) names.push_back(name);
    }
    return names;
  }
  /// False after five seconds.
  bool wait_until_open(const std::string& port) {
    std::unique_lock guard(mutex_);
    return changed_.wait_for(guard, std::chrono::seconds(5),
                             [&] { return ports_.contains(port) && is_open(ports_.at(port)); });
  }
  int dry_runs() const {
    const std::lock_guard guard(mutex_);
    return dry_runs_;
  }
  int resyncs() const {
    const std::lock_guard guard(mutex_);
    return resyncs_;
  }
  /// Waits until `is_so` of this switch; false after five seconds.
  bool wait_until(const std::function<bool(const std::map<std::string, api::PortSpec>&)>& is_so) {
    std::unique_lock guard(mutex_);
    return changed_.wait_for(guard, std::chrono::seconds(5), [&] { return is_so(ports_); });
  }
  /// The same, where `is_so` asks this switch's other questions: once for each Apply.
  bool wait_unlocked_until(const std::function<bool()>& is_so) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (true) {
      std::uint64_t seen = 0;
      {
        const std::lock_guard guard(mutex_);
        seen = generation_;
      }
      if (is_so()) return true;
      std::unique_lock guard(mutex_);
      if (!changed_.wait_until(guard, end, [&] { return generation_ != seen; })) return false;
    }
  }
  /// Somebody else takes a port away.
  void lose(const std::string& name) {
    const std::lock_guard guard(mutex_);
    ports_.erase(name);
  }

 private:
  bool is_open(const api::PortSpec& port) const { return !port.await_policy() || policy_.ports.contains(port.name()); }

  const std::string instance_id_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, api::PortSpec> ports_;
  std::map<std::string, api::Service> services_;
  api::Gateway gateway_;
  api::Nat nat_;
  std::uint64_t generation_ = 0;
  int resyncs_ = 0;
  int dry_runs_ = 0;
  PolicyState policy_;
  bool ending_ = false;
  std::unique_ptr<api::UnixServer> server_;
};

}  // namespace millrace::control::agent
