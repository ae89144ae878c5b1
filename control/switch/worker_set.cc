#include "control/switch/worker_set.h"

#include <utility>

#include "control/switch/rule_slots.h"
#include "control/switch/tunnel_request.h"

namespace millrace::control::switchd {

using datapath::WorkerId;

WorkerSet::WorkerSet(std::vector<std::uint32_t> cpus, const std::vector<datapath::FlowSettings>& flows,
                     const Limits& limits, datapath::PacketPool& pool)
    : cpus_(std::move(cpus)),
      publisher_(static_cast<unsigned>(cpus_.size())),
      rings_(datapath::make_handoff_rings(
          static_cast<unsigned>(cpus_.size()),
          [](void* context, WorkerId consumer) noexcept { static_cast<WorkerSet*>(context)->wake(consumer); }, this)) {
  for (std::size_t i = 0; i < cpus_.size(); ++i) {
    counters_.push_back(std::make_unique<datapath::WorkerCounters>(limits.port_limit,
                                                                   rule_slot_count(limits.rule_limit), kTunnelLimit));
    workers_.push_back(std::make_unique<datapath::Worker>(static_cast<WorkerId>(i), flows[i], publisher_, pool, *rings_,
                                                          *counters_.back()));
  }
}

WorkerSet::~WorkerSet() { stop(); }

net::Result<void> WorkerSet::start(datapath::io::PollMode poll) {
  for (std::size_t i = 0; i < cpus_.size(); ++i) {
    datapath::io::WorkerThreadOptions options;
    options.cpu = static_cast<int>(cpus_[i]);
    options.poll = poll;
    auto thread = datapath::io::WorkerThread::start(*workers_[i], options);
    if (!thread) {
      stop();
      return thread.error();
    }
    threads_.push_back(std::move(thread).value());
    running_[i].store(threads_.back().get(), std::memory_order_release);
  }
  return {};
}

void WorkerSet::stop() noexcept {
  for (auto& running : running_) running.store(nullptr, std::memory_order_release);
  threads_.clear();
}

WorkerAccess WorkerSet::access() {
  WorkerAccess access;
  access.publisher = &publisher_;
  for (const auto& counters : counters_) access.counters.push_back(counters.get());
  for (const auto& worker : workers_) access.taps.push_back(&worker->tap());
  access.cpus = cpus_;
  access.wake = [this] { wake_all(); };
  access.post = [this](WorkerId worker, datapath::FlowScan& scan) { workers_[worker]->post(scan); };
  return access;
}

void WorkerSet::wake(WorkerId worker) noexcept {
  if (auto* thread = running_[worker].load(std::memory_order_acquire)) thread->wake();
}

void WorkerSet::wake_all() noexcept {
  for (std::size_t i = 0; i < cpus_.size(); ++i) wake(static_cast<WorkerId>(i));
}

}  // namespace millrace::control::switchd
