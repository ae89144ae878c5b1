#include "control/agent/switch_client.h"

#include <google/protobuf/util/message_differencer.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <net/if.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/agent/pod_socket.h"
#include "control/api/grpc_status.h"
#include "control/api/unix_socket.h"

namespace millrace::control::agent {
namespace {

using std::chrono::milliseconds;

constexpr int kReconnectMinMs = 20;
constexpr int kReconnectMaxMs = 200;
constexpr milliseconds kOnePort{5000};
constexpr milliseconds kEverything = SwitchClient::kLongApply;
constexpr milliseconds kAfterRefusal{1000};
constexpr int kRetries = 6;  // 100 ms doubling: about 6 s in all

std::shared_ptr<grpc::Channel> open_restless_channel(const std::string& socket_path) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMinMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kReconnectMinMs);
  arguments.SetMaxReceiveMessageSize(api::kMessageLimitBytes);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMaxMs);
  return grpc::CreateCustomChannel("unix:" + socket_path, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

SwitchClient::SwitchClient(const std::string& socket_path, api::Gateway gateway, std::vector<api::PortSpec> ports)
    : channel_(open_restless_channel(socket_path)),
      stub_(api::Switch::NewStub(channel_)),
      gateway_(std::move(gateway)),
      socket_path_(socket_path) {
  for (api::PortSpec& port : ports) {
    std::string name = port.name();
    ports_.emplace(std::move(name), std::move(port));
  }
  status_.message = "the switch was not reached yet at " + socket_path_;
}

SwitchClient::~SwitchClient() { stop(); }

void SwitchClient::start() {
  thread_ = std::thread([this] { run(); });
}

void SwitchClient::stop() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
    if (watching_ != nullptr) watching_->TryCancel();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SwitchClient::run() {
  while (true) {
    grpc::ClientContext context;
    {
      const std::lock_guard guard(mutex_);
      if (stopping_) return;
      watching_ = &context;
    }
    // The stream waits for a connection; gRPC makes one as soon as the switch listens.
    context.set_wait_for_ready(true);
    const bool was_in_sync = follow(context);
    {
      const std::lock_guard guard(mutex_);
      watching_ = nullptr;
      instance_id_.clear();
    }
    if (!sleep(was_in_sync ? milliseconds(kReconnectMinMs) : kAfterRefusal)) return;
  }
}

bool SwitchClient::follow(grpc::ClientContext& context) {
  const auto reader = stub_->Watch(&context, api::WatchRequest());
  bool was_in_sync = false;
  std::string refusal;
  for (api::WatchEvent event; reader->Read(&event);) {
    bool is_new = false;
    {
      const std::lock_guard guard(mutex_);
      is_new = event.instance_id() != instance_id_;
      instance_id_ = event.instance_id();
      if (!is_new) status_.generation = std::max(status_.generation, event.generation());
    }
    if (!is_new) continue;
    if (auto synced = resync(); !synced) {
      refusal = synced.error().message;
      context.TryCancel();
      break;
    }
    was_in_sync = true;
  }
  const grpc::Status end = reader->Finish();
  set_status(false, refusal.empty() ? "the switch is away (" + socket_path_ + ": " +
                                          (end.ok() ? "it ended the stream" : end.error_message()) + ")"
                                    : "the switch refuses the desired state: " + refusal);
  return was_in_sync;
}

net::Result<std::uint64_t> SwitchClient::update_nat(api::Nat nat) {
  const std::shared_lock order(apply_order_);  // without a time limit, as update_services
  api::ApplyRequest request;
  *request.mutable_nat() = nat;
  {
    const std::lock_guard guard(mutex_);
    nat_ = std::move(nat);
  }
  if (auto in_sync = check_in_sync(); !in_sync) return in_sync.error();
  auto reply = apply(request, kLongApply);
  if (!reply) return reply.error();
  return reply->generation();
}

net::Result<void> SwitchClient::resync() {
  std::vector<std::string> failed;
  {
    const std::unique_lock order(apply_order_);
    api::ApplyRequest request;
    std::size_t port_count = 0, service_count = 0;
    request.set_replace_all(true);
    *request.mutable_gateway() = gateway_;
    {
      const std::lock_guard guard(mutex_);
      for (const auto& [name, port] : ports_) *request.add_upsert_ports() = port;
      for (const auto& [name, service] : services_) *request.add_upsert_services() = service;
      add_tunnels(request);
      policy_.write_to(request);
      policy_debt_ = {};
      port_count = ports_.size();
      service_count = services_.size();
    }
    if (nat_) *request.mutable_nat() = *nat_;
    auto reply = apply_everything(std::move(request));
    if (!reply) return reply.error();
    note_policy_failures(*reply);
    failed = note_port_failures(*reply);
    spdlog::info("switch: {} ports and {} services applied, generation {}", port_count, service_count,
                 reply->generation());
    set_status(true, "");
  }
  retry(std::move(failed));
  return {};
}

std::vector<std::string> SwitchClient::note_port_failures(const api::ApplyReply& reply) {
  std::vector<std::string> names;
  const std::lock_guard guard(mutex_);
  not_open_.clear();
  for (const api::PortFailure& failure : reply.failures()) {
    spdlog::warn("switch: port {} could not be opened: {}", failure.name(), failure.message());
    names.push_back(failure.name());
    // remove_port() may have been called since the request was made.
    if (ports_.contains(failure.name())) not_open_[failure.name()] = failure.message();
  }
  return names;
}

void SwitchClient::retry(std::vector<std::string> names) {
  for (int attempt = 0; attempt < kRetries && !names.empty(); ++attempt) {
    if (!sleep(milliseconds(100 << attempt))) return;
    std::erase_if(names, [this](const std::string& name) { return is_settled(name); });
  }
}

bool SwitchClient::is_settled(const std::string& name) {
  // Exclusive: a remove_port() of the same name comes before this or after it, never between.
  const std::unique_lock order(apply_order_);
  api::ApplyRequest request;
  {
    const std::lock_guard guard(mutex_);
    const auto found = ports_.find(name);
    if (found == ports_.end()) return true;
    *request.add_upsert_ports() = found->second;
    const auto policy = policy_.ports.find(name);
    if (policy != policy_.ports.end() && !policy_debt_.ports.contains(name)) {
      *request.add_upsert_port_policies() = policy->second;
    }
  }
  const api::PortSpec& port = request.upsert_ports(0);
  const bool is_there = port.has_vhost_user() ? socket_directory_is_there(port.vhost_user().path())
                                              : if_nametoindex(port.interface().c_str()) != 0;
  if (!is_there) return true;  // nothing to try again with; status tells of it until the pod goes
  auto reply = apply(request, kOnePort);
  if (reply) {
    spdlog::info("switch: port {} is open now", name);
    const std::lock_guard guard(mutex_);
    not_open_.erase(name);
  }
  // A switch that went away meanwhile gets everything at its return.
  return reply.ok() || reply.error().code == net::ErrorCode::kUnavailable;
}

net::Result<std::uint64_t> SwitchClient::add_port(const api::PortSpec& port) {
  const std::shared_lock order(apply_order_, kOnePort);
  if (!order.owns_lock()) return net::unavailable("the switch is being brought into the desired state");
  if (auto in_sync = check_in_sync(); !in_sync) return in_sync.error();
  {
    const std::lock_guard guard(mutex_);
    ports_[port.name()] = port;
  }
  api::ApplyRequest request;
  *request.add_upsert_ports() = port;
  auto reply = apply(request, kOnePort);
  const std::lock_guard guard(mutex_);
  not_open_.erase(port.name());
  if (reply) return reply->generation();
  ports_.erase(port.name());
  return reply.error();
}

net::Result<std::uint64_t> SwitchClient::replace_port(const api::PortSpec& port) {
  const std::shared_lock order(apply_order_);  // without a time limit, as update_services
  {
    const std::lock_guard guard(mutex_);
    ports_[port.name()] = port;
  }
  if (auto in_sync = check_in_sync(); !in_sync) return in_sync.error();
  api::ApplyRequest request;
  *request.add_upsert_ports() = port;
  auto reply = apply(request, kOnePort);
  if (!reply) return reply.error();
  const std::lock_guard guard(mutex_);
  not_open_.erase(port.name());
  return reply->generation();
}

net::Result<void> SwitchClient::remove_port(const std::string& name) {
  {
    const std::lock_guard guard(mutex_);
    ports_.erase(name);
    not_open_.erase(name);
  }
  const std::shared_lock order(apply_order_, kOnePort);
  if (!order.owns_lock()) return net::unavailable("the switch is being brought into the desired state");
  if (auto in_sync = check_in_sync(); !in_sync) return in_sync;
  api::ApplyRequest request;
  request.add_remove_ports(name);
  if (auto reply = apply(request, kOnePort); !reply) return reply.error();
  return {};
}

bool SwitchClient::has_port(const std::string& name) const {
  const std::lock_guard guard(mutex_);
  return ports_.contains(name);
}

net::Result<void> SwitchClient::check_port(const std::string& name) {
  if (auto in_sync = check_in_sync(); !in_sync) return in_sync;
  api::PortSpec wanted;
  {
    const std::lock_guard guard(mutex_);
    const auto found = ports_.find(name);
    if (found == ports_.end()) return net::failed_precondition("port " + name + " is not part of the desired state");
    wanted = found->second;
  }
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kOnePort);
  api::ListPortsReply reply;
  if (auto status = stub_->ListPorts(&context, api::ListPortsRequest(), &reply); !status.ok()) {
    return api::to_error(status);
  }
  for (const api::PortStatus& port : reply.ports()) {
    if (port.spec().name() != name) continue;
    if (google::protobuf::util::MessageDifferencer::Equals(port.spec(), wanted)) return {};
    return net::failed_precondition("the switch has port " + name + " with other properties");
  }
  return net::failed_precondition("the switch has no port " + name);
}

net::Result<api::ApplyReply> SwitchClient::apply(const api::ApplyRequest& request, milliseconds timeout) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  api::ApplyReply reply;
  const grpc::Status status = stub_->Apply(&context, request, &reply);
  if (!status.ok()) {
    net::Error error = api::to_error(status);
    error.message = "switch: " + error.message;
    return error;
  }
  const std::lock_guard guard(mutex_);
  status_.generation = std::max(status_.generation, reply.generation());
  return reply;
}

SwitchClient::Status SwitchClient::status() const {
  const std::lock_guard guard(mutex_);
  Status status = status_;
  if (status.in_sync) {
    for (const auto& [name, reason] : not_open_) {
      status.message += (status.message.empty() ? "" : "; ") + name + ": " + reason;
    }
  }
  return status;
}

net::Result<void> SwitchClient::check_in_sync() const {
  const std::lock_guard guard(mutex_);
  if (status_.in_sync) return {};
  return net::unavailable(status_.message);
}

bool SwitchClient::wait_for(bool wanted, milliseconds timeout) {
  std::unique_lock guard(mutex_);
  return changed_.wait_for(guard, timeout, [&] { return status_.in_sync == wanted; });
}

void SwitchClient::set_status(bool in_sync, const std::string& message) {
  {
    const std::lock_guard guard(mutex_);
    // One line for each change, not one for each attempt.
    if (!stopping_ && !in_sync && status_.message != message) spdlog::warn("{}", message);
    status_.in_sync = in_sync;
    status_.message = message;
    if (!in_sync) status_.generation = 0;  // a new switch counts anew
  }
  changed_.notify_all();
}

bool SwitchClient::sleep(milliseconds duration) {
  std::unique_lock guard(mutex_);
  return !changed_.wait_for(guard, duration, [&] { return stopping_; });
}

}  // namespace millrace::control::agent
