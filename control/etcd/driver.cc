#include "control/etcd/driver.h"

#include <grpcpp/alarm.h>

#include <utility>

namespace millrace::control::etcd {
namespace {

// Tags: a channel's place, counted from 1.
void* tag_of(std::size_t index) { return reinterpret_cast<void*>(index + 1); }
constexpr void* kEnd = nullptr;

}  // namespace

Driver::Driver(std::vector<std::shared_ptr<grpc::Channel>> channels) : channels_(std::move(channels)) {
  for (std::size_t i = 0; i < channels_.size(); ++i) wait_for_next_state(i);
  thread_ = std::thread([this] { run(); });
}

Driver::~Driver() {
  grpc::Alarm end;
  end.Set(&queue_, gpr_now(GPR_CLOCK_MONOTONIC), kEnd);
  thread_.join();
  channels_.clear();
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {}
}

void Driver::run() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok) && tag != kEnd) wait_for_next_state(reinterpret_cast<std::size_t>(tag) - 1);
}

void Driver::wait_for_next_state(std::size_t index) {
  grpc::Channel& channel = *channels_[index];
  channel.NotifyOnStateChange(channel.GetState(false), gpr_inf_future(GPR_CLOCK_REALTIME), &queue_, tag_of(index));
}

}  // namespace millrace::control::etcd
