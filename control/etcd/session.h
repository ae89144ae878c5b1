/// One user's way to the members of a cluster: their connections, whose turn it is, and the tokens.
///
/// Theory:  each endpoint has a connection of its own and gRPC does not choose among them: only we know which failure
///          of which call means that another member would do better. The member that answered last is asked first.
/// Shape:   run() makes rounds over the members. A round in which nobody could be reached is the end; one in which a
///          member refused (no leader) is followed by another after kRoundPause, until the time is over.
/// TLS:     the server's certificate must be signed by ca_file and name the endpoint's host (RFC 6125; an address as an
///          address). Files are read once, at open().
/// Auth:    a token per member, since a member may forget one that another still knows; sent as metadata "token".
/// Thread:  any.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "control/etcd/client.h"
#include "control/etcd/driver.h"
#include "control/etcd/endpoint.h"
#include "control/etcd/fault.h"
#include "control/etcd/interrupt.h"
#include "control/etcd/rpc.grpc.pb.h"
#include "net/result.h"

namespace millrace::control::etcd {

class Session {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = std::chrono::milliseconds;
  static constexpr Time kRoundPause{100};

  struct Member {
    std::size_t index = 0;
    Endpoint endpoint;
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<etcdserverpb::KV::Stub> kv;
    std::unique_ptr<etcdserverpb::Watch::Stub> watch;
    std::unique_ptr<etcdserverpb::Lease::Stub> lease;
    std::unique_ptr<etcdserverpb::Auth::Stub> auth;
    std::mutex mutex;
    std::string token;  // under mutex; empty: none yet
  };

  static net::Result<std::unique_ptr<Session>> open(Options options);

  /// kRepeat: doing it twice is as good as once, so any failure goes to the next member. kOnce: a write.
  enum class Kind { kRepeat, kOnce };
  using Attempt = std::function<grpc::Status(Member&, grpc::ClientContext*)>;
  /// Errors as client.h has them. `interrupt` may be null.
  net::Result<void> run(Kind kind, const Attempt& attempt, Time timeout, Interrupt* interrupt = nullptr);

  Time timeout() const { return options_.timeout; }

  /// For streams: the member whose turn it is, and what its context must carry.
  Member& member() { return *members_[current_.load() % members_.size()]; }
  net::Result<void> prepare(Member& member, grpc::ClientContext* context, Interrupt* interrupt);
  /// `member` failed: another one's turn.
  void leave(const Member& member);
  /// The next use of `member` authenticates again.
  void forget_token(Member& member);

 private:
  struct Outcome {
    grpc::Status status;
    Fault fault = Fault::kAnswer;  // of a status that is not OK
  };
  struct Deadline {
    Clock::time_point turn, whole;  // of this member's turn, of the call
  };

  explicit Session(Options options) : options_(std::move(options)) {}
  net::Result<void> open_members();
  Outcome try_member(Member& member, Kind kind, const Attempt& attempt, Deadline deadline, Interrupt* interrupt);
  Outcome authenticate(Member& member, Clock::time_point deadline, Interrupt* interrupt);
  static void add_metadata(Member& member, grpc::ClientContext* context);

  Options options_;
  std::unique_ptr<Driver> driver_;  // goes last: it takes the last hold of each channel
  std::vector<std::unique_ptr<Member>> members_;
  std::atomic<std::size_t> current_ = 0;  // whose turn it is; modulo the number of members
};

}  // namespace millrace::control::etcd
