// The ways to other nodes of switch_client.h.
#include <google/protobuf/util/message_differencer.h>
#include <spdlog/spdlog.h>

#include "control/agent/switch_client.h"

namespace millrace::control::agent {

void SwitchClient::set_tunnels(api::Underlay underlay, const std::vector<api::Tunnel>& tunnels) {
  const std::lock_guard guard(mutex_);
  underlay_ = std::move(underlay);
  tunnels_.clear();
  for (const api::Tunnel& tunnel : tunnels) tunnels_[tunnel.name()] = tunnel;
}

net::Result<std::uint64_t> SwitchClient::update_tunnels(const api::Underlay& underlay,
                                                        const std::vector<api::Tunnel>& tunnels) {
  using google::protobuf::util::MessageDifferencer;
  const std::shared_lock order(apply_order_);  // without a time limit, as update_services
  api::ApplyRequest request;
  {
    const std::lock_guard guard(mutex_);
    if (!underlay_ || !MessageDifferencer::Equals(*underlay_, underlay)) *request.mutable_underlay() = underlay;
    std::map<std::string, api::Tunnel> wanted;
    for (const api::Tunnel& tunnel : tunnels) wanted[tunnel.name()] = tunnel;
    for (const auto& [name, ignored] : tunnels_) {
      if (!wanted.contains(name)) request.add_remove_tunnels(name);
    }
    for (const auto& [name, tunnel] : wanted) {
      const auto before = tunnels_.find(name);
      if (before != tunnels_.end() && MessageDifferencer::Equals(before->second, tunnel)) continue;
      *request.add_upsert_tunnels() = tunnel;
    }
    underlay_ = underlay;
    tunnels_ = std::move(wanted);
    if (!request.has_underlay() && request.upsert_tunnels().empty() && request.remove_tunnels().empty()) {
      return status_.generation;
    }
  }
  if (auto in_sync = check_in_sync(); !in_sync) return in_sync.error();
  auto reply = apply(request, kLongApply);
  if (!reply) return reply.error();
  return reply->generation();
}

void SwitchClient::add_tunnels(api::ApplyRequest& request) const {
  if (underlay_) *request.mutable_underlay() = *underlay_;
  for (const auto& [name, tunnel] : tunnels_) *request.add_upsert_tunnels() = tunnel;
}

bool SwitchClient::apply_tunnels() {
  api::ApplyRequest request;
  {
    const std::lock_guard guard(mutex_);
    add_tunnels(request);
  }
  auto reply = apply(request, kLongApply);
  if (reply) return true;
  if (reply.error().code == net::ErrorCode::kUnavailable) return false;
  spdlog::error("the ways to other nodes are refused: {}", reply.error().message);
  return true;
}

}  // namespace millrace::control::agent
