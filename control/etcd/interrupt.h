/// A word from another thread that ends what this one waits for: calls, streams and pauses.
///
/// Thread:  set() and is_set() any; the rest the one that waits. What runs under a Scope is cancelled by set(), at once
///          or as soon as it begins.
#pragma once

#include <grpcpp/client_context.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <vector>

namespace millrace::control::etcd {

class Interrupt {
 public:
  void set() {
    const std::lock_guard lock(mutex_);
    is_set_ = true;
    for (grpc::ClientContext* context : running_) context->TryCancel();
    changed_.notify_all();
  }

  bool is_set() const {
    const std::lock_guard lock(mutex_);
    return is_set_;
  }

  /// False: set() came first.
  bool pause(std::chrono::steady_clock::duration time) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, time, [this] { return is_set_; });
  }

  /// `context` may be cancelled while this stands. Without an interrupt nothing happens.
  class Scope {
   public:
    Scope(Interrupt* interrupt, grpc::ClientContext* context) : interrupt_(interrupt), context_(context) {
      if (interrupt_ == nullptr) return;
      const std::lock_guard lock(interrupt_->mutex_);
      interrupt_->running_.push_back(context_);
      if (interrupt_->is_set_) context_->TryCancel();
    }
    ~Scope() {
      if (interrupt_ == nullptr) return;
      const std::lock_guard lock(interrupt_->mutex_);
      std::erase(interrupt_->running_, context_);
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Interrupt* interrupt_;
    grpc::ClientContext* context_;
  };

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool is_set_ = false;
  std::vector<grpc::ClientContext*> running_;
};

}  // namespace millrace::control::etcd
