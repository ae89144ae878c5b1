#include "control/switch/event_hub.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "control/switch/field_checks.h"
#include "control/switch/packet_report.h"

namespace millrace::control::switchd {

using datapath::EventTap;
using datapath::PacketEvent;
using std::chrono::nanoseconds;

namespace {

/// From the workers' clock to the wall's.
nanoseconds wall_clock_offset() {
  return std::chrono::system_clock::now().time_since_epoch() - std::chrono::steady_clock::now().time_since_epoch();
}

}  // namespace

const PortView& EventHub::Names::of(std::uint64_t generation, net::PortId port) const {
  if (generation >= now->generation) return *now;
  return before->find(port) != nullptr || now->find(port) == nullptr ? *before : *now;
}

EventHub::EventHub(const SwitchState& state, WorkerAccess workers)
    : state_(state),
      workers_(std::move(workers)),
      traced_(datapath::kMaxPorts),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

EventHub::~EventHub() {
  end_all();
  thread_.request_stop();
  thread_.join();
}

net::Result<std::shared_ptr<PacketWatch>> EventHub::open(const api::WatchPacketsRequest& request,
                                                         std::weak_ptr<PacketListener> listener) {
  auto filter = PacketFilter::parse(request);
  if (!filter) return filter.error();
  const std::lock_guard lock(mutex_);
  if (is_ended_) return net::unavailable("the switch is shutting down");
  if (watches_.size() >= kPacketWatchLimit) {
    return net::resource_exhausted(
        fmt::format("{} clients watch packets already; allowed: {}", watches_.size(), kPacketWatchLimit));
  }
  look_again();
  for (int i = 0; i < request.trace_ports_size(); ++i) {
    const auto found = names_.now->by_name.find(request.trace_ports(i));
    if (found == names_.now->by_name.end()) {
      return net::not_found(fmt::format("trace_ports[{}]: there is no port {}", i, quoted(request.trace_ports(i))));
    }
    filter->trace_ports[found->first] = found->second;
  }
  if (watches_.empty()) {  // what a tap was told just before it was shut is nobody's
    events_.clear();
    read_taps();
    events_.clear();
    lost_told_ = lost_in_taps();
  }
  auto watch = std::make_shared<PacketWatch>(std::move(filter).value(), std::move(listener));
  watches_.push_back(watch);
  set_taps();
  changed_.notify_all();
  return watch;
}

void EventHub::close(const std::shared_ptr<PacketWatch>& watch) {
  const std::lock_guard lock(mutex_);
  std::erase(watches_, watch);
  set_taps();
}

void EventHub::end_all() {
  Watches ended;
  {
    const std::lock_guard lock(mutex_);
    is_ended_ = true;
    ended = std::exchange(watches_, {});
    set_taps();
  }
  for (const auto& watch : ended) {
    watch->end(net::unavailable("the switch is shutting down"));
    watch->tell();
  }
}

std::size_t EventHub::watch_count() const {
  const std::lock_guard lock(mutex_);
  return watches_.size();
}

void EventHub::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return !watches_.empty(); })) {
    const Watches watches = watches_;  // one that ends in this poll is told, too
    poll();
    lock.unlock();
    for (const auto& watch : watches) watch->tell();
    lock.lock();
    changed_.wait_for(lock, stop, kEventPoll, [] { return false; });
  }
}

void EventHub::poll() {
  look_again();
  events_.clear();
  read_taps();
  std::stable_sort(events_.begin(), events_.end(),
                   [](const PacketEvent& a, const PacketEvent& b) { return a.time_ns < b.time_ns; });
  const nanoseconds offset = wall_clock_offset();
  for (const PacketEvent& event : events_) give(event, offset);
  if (const std::uint64_t lost = lost_in_taps(); lost != lost_told_) {
    for (const auto& watch : watches_) watch->lose(lost - lost_told_);
    lost_told_ = lost;
  }
  end_lost_traces();
}

void EventHub::read_taps() {
  std::array<PacketEvent, 256> batch;
  for (EventTap* tap : workers_.taps) {
    // At most a ring of each: a worker may write as fast as it is read.
    for (std::size_t taken = 0; taken < EventTap::kRingSize;) {
      const std::size_t count = tap->read(batch);
      events_.insert(events_.end(), batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(count));
      taken += count;
      if (count < batch.size()) break;
    }
  }
}

void EventHub::give(const PacketEvent& event, nanoseconds clock_offset) {
  const auto entry_of = [&](net::PortId id) { return names_.of(event.generation, id).find(id); };
  const PortView::Entry* in = entry_of(event.in_port);
  const PortView::Entry* out = entry_of(event.out_port);
  static const std::string kNone;
  api::PacketEvent report;
  bool is_made = false;
  for (const auto& watch : watches_) {
    if (!watch->filter().wants(event.drop != net::Drop::kNone, in == nullptr ? kNone : in->name,
                               out == nullptr ? kNone : out->name)) {
      continue;
    }
    if (!std::exchange(is_made, true)) {
      report = to_proto(event, in, out, *names_.now, clock_offset);
      // By an uplink comes what other nodes send: which, the tunnel says.
      if (const auto* tunnel = entry_of(event.tunnel)) report.mutable_in()->set_description(tunnel->description);
    }
    watch->put(report);
  }
}

void EventHub::end_lost_traces() {
  const auto gone_of = [this](const PacketWatch& watch) -> const std::string* {
    for (const auto& [name, id] : watch.filter().trace_ports) {
      const auto found = names_.now->by_name.find(name);
      if (found == names_.now->by_name.end() || found->second != id) return &name;
    }
    return nullptr;
  };
  const auto is_over = [&](const std::shared_ptr<PacketWatch>& watch) {
    const std::string* gone = gone_of(*watch);
    if (gone != nullptr) watch->end(net::not_found(fmt::format("port {} is gone", quoted(*gone))));
    return gone != nullptr;
  };
  if (std::erase_if(watches_, is_over) > 0) set_taps();
}

void EventHub::look_again() {
  if (names_.now != nullptr && names_.now->generation == state_.generation()) return;
  names_.before = std::exchange(names_.now, std::make_shared<const PortView>(state_.port_view()));
  if (names_.before == nullptr) names_.before = names_.now;
}

std::uint64_t EventHub::lost_in_taps() const {
  std::uint64_t sum = 0;
  for (const EventTap* tap : workers_.taps) sum += tap->lost();
  return sum;
}

void EventHub::set_taps() {
  bool drops = false;
  std::vector<bool> traced(traced_.size());
  for (const auto& watch : watches_) {
    drops |= watch->filter().drops;
    for (const auto& [name, id] : watch->filter().trace_ports) traced[id] = true;
  }
  for (EventTap* tap : workers_.taps) {
    tap->watch_drops(drops);
    for (std::size_t id = 0; id < traced.size(); ++id) {
      if (traced[id] != traced_[id]) tap->watch_port(static_cast<net::PortId>(id), traced[id]);
    }
  }
  traced_ = std::move(traced);
}

}  // namespace millrace::control::switchd
