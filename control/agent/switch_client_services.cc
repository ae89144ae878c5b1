// The services of switch_client.h.
#include <spdlog/spdlog.h>

#include "control/agent/switch_client.h"

namespace millrace::control::agent {

net::Result<std::uint64_t> SwitchClient::update_services(const std::vector<api::Service>& upserts,
                                                         const std::vector<std::string>& removes) {
  const std::lock_guard one_after_another(services_order_);
  // Without a time limit: a resync ends, and what it did not read here must not be lost.
  const std::shared_lock order(apply_order_);
  {
    const std::lock_guard guard(mutex_);
    for (const api::Service& service : upserts) services_[service.name()] = service;
    for (const std::string& name : removes) services_.erase(name);
  }
  if (auto in_sync = check_in_sync(); !in_sync) return in_sync.error();
  api::ApplyRequest request;
  for (const api::Service& service : upserts) *request.add_upsert_services() = service;
  for (const std::string& name : removes) request.add_remove_services(name);
  auto reply = apply(request, kLongApply);
  if (reply) return reply->generation();
  if (reply.error().code == net::ErrorCode::kUnavailable) return reply.error();
  if (!removes.empty()) {
    request.clear_upsert_services();
    if (auto removed = apply(request, kLongApply); !removed) return removed.error();
  }
  std::optional<net::Error> refusal;
  if (!apply_services(upserts, refusal)) return net::unavailable("the switch went away");
  if (refusal) return *refusal;
  const std::lock_guard guard(mutex_);
  return status_.generation;
}

bool SwitchClient::apply_services(std::span<const api::Service> upserts, std::optional<net::Error>& refusal) {
  if (upserts.empty()) return true;
  api::ApplyRequest request;
  for (const api::Service& service : upserts) *request.add_upsert_services() = service;
  auto reply = apply(request, kLongApply);
  if (reply) return true;
  if (reply.error().code == net::ErrorCode::kUnavailable) return false;
  if (upserts.size() > 1) {
    const std::size_t half = upserts.size() / 2;
    return apply_services(upserts.first(half), refusal) && apply_services(upserts.subspan(half), refusal);
  }
  spdlog::warn("service {} is refused: {}", upserts.front().name(), reply.error().message);
  if (!refusal) refusal = reply.error();
  // The switch has the one before still, if there was one: better none than one that nobody wants any more.
  request.clear_upsert_services();
  request.add_remove_services(upserts.front().name());
  if (auto removed = apply(request, kLongApply); !removed) return false;
  const std::lock_guard guard(mutex_);
  services_.erase(upserts.front().name());
  return true;
}

net::Result<api::ApplyReply> SwitchClient::apply_everything(api::ApplyRequest request) {
  auto reply = apply(request, kLongApply);
  const auto is_refused = [&reply] { return !reply && reply.error().code != net::ErrorCode::kUnavailable; };
  const std::vector<api::Service> services(request.upsert_services().begin(), request.upsert_services().end());
  const bool has_tunnels = request.has_underlay();
  if (is_refused() && (!services.empty() || has_tunnels)) {
    spdlog::warn("the desired state is refused ({}): once more without services and tunnels, then these",
                 reply.error().message);
    request.clear_upsert_services();
    request.clear_underlay();
    request.clear_upsert_tunnels();
    reply = apply(request, kLongApply);
  } else if (reply) {
    return reply;
  }
  if (is_refused() && !is_without_policy(request)) { reply = apply_closed(std::move(request), reply.error()); }
  if (!reply) return reply;
  if (has_tunnels && !apply_tunnels()) return net::unavailable("the switch went away");
  std::optional<net::Error> refusal;
  if (!apply_services(services, refusal)) return net::unavailable("the switch went away");
  return reply;
}

}  // namespace millrace::control::agent
