#include "control/cli/client.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "control/api/grpc_status.h"
#include "control/api/unix_socket.h"
#include "control/cli/unique_fd.h"

namespace millrace::control::cli {

namespace {

/// What gRPC says when a deadline of this side has passed.
constexpr const char* kOwnDeadline = "Deadline Exceeded";

}  // namespace

net::Result<void> probe_socket(const std::string& program, const std::string& path, const std::string& up_command) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return net::invalid_argument(fmt::format("{}: too long for a socket", path));
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return net::internal_error(fmt::format("cannot make a socket: {}", std::strerror(errno)));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return {};
  if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR) {
    return net::unavailable(fmt::format("{} is not running at {}; start it with: {}", program, path, up_command));
  }
  if (errno == EACCES || errno == EPERM) {
    return net::permission_denied(
        fmt::format("{} of {} may not be opened by this user; it is for root and its group", path, program));
  }
  return net::unavailable(fmt::format("{} cannot be reached at {}: {}", program, path, std::strerror(errno)));
}

std::string up_command(const config::Config& config) {
  if (config.file.empty() || config.file == config::kDefaultPath) return "millrace up";
  return fmt::format("millrace --config {} up", config.file);
}

template <typename Service>
Client<Service>::Client(std::string program, std::string path, std::string up_command)
    : program_(std::move(program)),
      path_(std::move(path)),
      up_command_(std::move(up_command)),
      stub_(Service::NewStub(api::open_channel(path_))) {}

template <typename Service>
net::Error Client<Service>::explain(const grpc::Status& status, std::chrono::seconds timeout) const {
  // Other words are the daemon's own: of a worker that is late.
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED && status.error_message() == kOwnDeadline) {
    return net::unavailable(fmt::format("{} at {} did not answer within {} s", program_, path_, timeout.count()));
  }
  net::Error error = api::to_error(status);
  error.message = fmt::format("{}: {}", program_, error.message);
  return error;
}

template class Client<api::Switch>;
template class Client<api::Agent>;

SwitchClient switch_client(const config::Config& config) {
  return {"millraced", config.switch_socket(), up_command(config)};
}

AgentClient agent_client(const config::Config& config) {
  return {"millrace-agent", config.agent_socket(), up_command(config)};
}

}  // namespace millrace::control::cli
