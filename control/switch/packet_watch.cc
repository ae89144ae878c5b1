#include "control/switch/packet_watch.h"

#include <fmt/core.h>

#include <utility>

#include "control/switch/field_checks.h"

namespace millrace::control::switchd {
namespace {

net::Result<void> check_names(const char* field, const google::protobuf::RepeatedPtrField<std::string>& names) {
  if (names.size() > kWatchedPortLimit) {
    return net::invalid_argument(
        fmt::format("{}: {} entries; allowed: at most {}", field, names.size(), kWatchedPortLimit));
  }
  for (int i = 0; i < names.size(); ++i) {
    if (auto name = check_name(fmt::format("{}[{}]", field, i), names[i]); !name) return name.error();
  }
  return {};
}

}  // namespace

net::Result<PacketFilter> PacketFilter::parse(const api::WatchPacketsRequest& request) {
  if (!request.drops() && request.trace_ports_size() == 0) {
    return net::invalid_argument("drops, trace_ports: neither; allowed: one of them or both");
  }
  if (!request.drops() && request.drop_ports_size() > 0) {
    return net::invalid_argument("drop_ports: given without drops; allowed: with it");
  }
  if (auto checked = check_names("drop_ports", request.drop_ports()); !checked) return checked.error();
  if (auto checked = check_names("trace_ports", request.trace_ports()); !checked) return checked.error();
  PacketFilter filter;
  filter.drops = request.drops();
  filter.drop_ports.insert(request.drop_ports().begin(), request.drop_ports().end());
  for (const std::string& port : request.trace_ports()) filter.trace_ports.emplace(port, net::kNoPort);
  return filter;
}

bool PacketFilter::wants(bool is_drop, const std::string& in, const std::string& out) const {
  if (trace_ports.contains(in) || trace_ports.contains(out)) return true;
  return is_drop && drops && (drop_ports.empty() || drop_ports.contains(in) || drop_ports.contains(out));
}

void PacketWatch::put(const api::PacketEvent& event) {
  const std::lock_guard lock(mutex_);
  if (queue_.size() >= kWatchQueueEvents) {
    ++lost_;
  } else {
    queue_.push_back(event);
  }
}

void PacketWatch::lose(std::uint64_t count) {
  const std::lock_guard lock(mutex_);
  lost_ += count;
}

void PacketWatch::end(net::Error why) {
  const std::lock_guard lock(mutex_);
  if (!end_) end_ = std::move(why);
}

bool PacketWatch::take(api::PacketEvents& message) {
  const std::lock_guard lock(mutex_);
  message.Clear();
  if (!std::exchange(is_greeted_, true)) return true;
  if (queue_.empty() && lost_ == 0) return false;
  message.set_lost(std::exchange(lost_, 0));
  while (!queue_.empty() && static_cast<std::size_t>(message.events_size()) < kWatchBatchEvents) {
    *message.add_events() = std::move(queue_.front());
    queue_.pop_front();
  }
  return true;
}

std::optional<net::Error> PacketWatch::ended() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

void PacketWatch::tell() const {
  if (const auto listener = listener_.lock()) listener->on_packets();
}

}  // namespace millrace::control::switchd
