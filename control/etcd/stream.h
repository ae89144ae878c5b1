/// A two-way stream of gRPC that is waited on with a deadline, by one thread.
///
/// Shape:   send() keeps what the stream cannot take yet; next() gives messages in their order. One completion queue
/// each.
/// Thread:  one; only Interrupt::set() comes from another, and ends it (Next::kEnded, CANCELLED).
/// Source:  grpcpp/support/async_stream.h: one read and one write at a time; a queue is emptied before it goes.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>

#include "control/etcd/interrupt.h"

namespace millrace::control::etcd {

template <class Request, class Response>
class Stream {
 public:
  using Clock = std::chrono::steady_clock;
  using Raw = grpc::ClientAsyncReaderWriter<Request, Response>;
  /// Makes the call, without starting it (a stub's PrepareAsync...).
  using Make = std::function<std::unique_ptr<Raw>(grpc::ClientContext*, grpc::CompletionQueue*)>;
  enum class Next { kMessage, kNothing, kEnded };

  /// `context` carries the metadata and outlives the stream.
  Stream(grpc::ClientContext* context, Interrupt* interrupt, const Make& make)
      : context_(context), scope_(interrupt, context), raw_(make(context, &queue_)) {
    raw_->StartCall(&start_);
  }

  ~Stream() {
    context_->TryCancel();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {}
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void send(Request request) {
    unsent_.push_back(std::move(request));
    write_one();
  }

  /// kMessage: `message` is one; kNothing: the deadline came first; kEnded: see status(), and from now on always.
  Next next(Response* message, Clock::time_point deadline) {
    const auto wall = std::chrono::system_clock::now() +
                      std::chrono::duration_cast<std::chrono::system_clock::duration>(deadline - Clock::now());
    while (!is_ended_) {
      if (is_started_ && !is_reading_ && !is_finishing_) {
        is_reading_ = true;
        raw_->Read(&incoming_, &read_);
      }
      void* tag = nullptr;
      bool ok = false;
      if (queue_.AsyncNext(&tag, &ok, wall) != grpc::CompletionQueue::GOT_EVENT) return Next::kNothing;
      if (take(tag, ok)) {
        message->Swap(&incoming_);
        return Next::kMessage;
      }
    }
    return Next::kEnded;
  }

  const grpc::Status& status() const { return status_; }

 private:
  /// True: a message has come.
  bool take(const void* tag, bool ok) {
    if (tag == &finish_) {
      is_ended_ = true;
    } else if (tag == &write_) {
      is_writing_ = false;
      if (ok) write_one();  // else the read fails as well, and says that it is over
    } else if (!ok) {
      is_finishing_ = true;
      raw_->Finish(&status_, &finish_);
    } else if (tag == &start_) {
      is_started_ = true;
      write_one();
    } else {
      is_reading_ = false;
      return true;
    }
    return false;
  }

  void write_one() {
    if (!is_started_ || is_writing_ || is_finishing_ || unsent_.empty()) return;
    is_writing_ = true;
    raw_->Write(unsent_.front(), &write_);  // serialized before it returns
    unsent_.pop_front();
  }

  grpc::ClientContext* context_;
  Interrupt::Scope scope_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<Raw> raw_;
  char start_ = 0, read_ = 0, write_ = 0, finish_ = 0;  // tags: their addresses
  bool is_started_ = false, is_reading_ = false, is_writing_ = false, is_finishing_ = false, is_ended_ = false;
  std::deque<Request> unsent_;
  Response incoming_;
  grpc::Status status_;
};

}  // namespace millrace::control::etcd
