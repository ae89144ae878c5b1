/// The daemons as the CLI sees them: one call each, with errors a person can act on.
///
/// Errors:  kUnavailable "millraced is not running at PATH; start it with: millrace up"; kPermissionDenied when the
///          socket may not be opened; else the daemon's own sentence behind its name.
/// Thread:  one owner.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "control/api/agent.grpc.pb.h"
#include "control/api/switch.grpc.pb.h"
#include "control/config/config.h"
#include "net/result.h"

namespace millrace::control::cli {

inline constexpr std::chrono::seconds kCallTimeout{10};
/// For all of a listing that may have a million entries, or for their end.
inline constexpr std::chrono::seconds kStreamTimeout{120};

/// Can somebody be reached at the socket? `program` and `up_command` are for the sentence.
net::Result<void> probe_socket(const std::string& program, const std::string& path, const std::string& up_command);

/// "millrace up" with the config file of this instance.
std::string up_command(const config::Config& config);

/// One daemon: its stub, and calls on it.
template <typename Service>
class Client {
 public:
  Client(std::string program, std::string path, std::string up_command);

  /// client.call(&Stub::GetStatus, request)
  template <typename Request, typename Reply>
  net::Result<Reply> call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                          const Request& request, std::chrono::seconds timeout = kCallTimeout) {
    if (auto there = probe_socket(program_, path_, up_command_); !there) return there.error();
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    Reply reply;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &reply);
    if (!status.ok()) {
      // A daemon that is just ending still takes connections and answers nothing.
      if (auto there = probe_socket(program_, path_, up_command_); !there) return there.error();
      return explain(status, timeout);
    }
    return reply;
  }

  /// client.stream<Request, Message>(&Stub::ListFlows, request, take): `take` gets each message as it comes, and says
  /// whether it wants more. No `timeout`: until the daemon ends it.
  template <typename Request, typename Message>
  net::Result<void> stream(std::unique_ptr<grpc::ClientReader<Message>> (Service::Stub::*method)(grpc::ClientContext*,
                                                                                                 const Request&),
                           const Request& request, const std::function<bool(const Message&)>& take,
                           std::optional<std::chrono::seconds> timeout = kStreamTimeout) {
    if (auto there = probe_socket(program_, path_, up_command_); !there) return there.error();
    grpc::ClientContext context;
    if (timeout) context.set_deadline(std::chrono::system_clock::now() + *timeout);
    const auto reader = (stub_.get()->*method)(&context, request);
    bool is_enough = false;
    for (Message message; !is_enough && reader->Read(&message);) is_enough = !take(message);
    if (is_enough) context.TryCancel();
    const grpc::Status status = reader->Finish();
    if (status.ok() || is_enough) return {};
    if (auto there = probe_socket(program_, path_, up_command_); !there) return there.error();
    return explain(status, timeout.value_or(std::chrono::seconds(0)));
  }

 private:
  net::Error explain(const grpc::Status& status, std::chrono::seconds timeout) const;

  std::string program_, path_, up_command_;
  std::unique_ptr<typename Service::Stub> stub_;
};

using SwitchClient = Client<api::Switch>;
using AgentClient = Client<api::Agent>;

SwitchClient switch_client(const config::Config& config);
AgentClient agent_client(const config::Config& config);

}  // namespace millrace::control::cli
