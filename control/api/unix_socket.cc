#include "control/api/unix_socket.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace millrace::api {
namespace {

/// No group, no other may execute; others nothing: mode 0660 for the socket from its first moment.
constexpr mode_t kSocketUmask = 0117;

/// gRPC takes the path as part of a URI (RFC 3986 section 2.1).
std::string socket_uri(const std::string& path) {
  std::string uri = "unix:";
  for (const char c : path) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("/-._~", c) != nullptr;
    uri += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return uri;
}

net::Error system_error(const std::string& path, const char* what) {
  return net::failed_precondition(fmt::format("{}: {}: {}", path, what, std::strerror(errno)));
}

/// Somebody accepts connections at `path`: a server that holds no lock of ours.
bool answers(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::close(fd);
  return result == 0;
}

net::Result<void> make_directory_of(const std::string& path) {
  const std::filesystem::path directory = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!directory.empty()) std::filesystem::create_directories(directory, error);
  if (error) return net::failed_precondition(fmt::format("{}: {}", directory.string(), error.message()));
  return {};
}

/// The lock's descriptor.
net::Result<int> take_lock(const std::string& path) {
  const std::string lock_path = path + ".lock";
  const int fd = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0660);
  if (fd < 0) return system_error(lock_path, "cannot open");
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const bool held = errno == EWOULDBLOCK;
    net::Error error = system_error(lock_path, "cannot lock");
    ::close(fd);
    if (held) return net::already_exists(fmt::format("{}: another process serves this socket", path));
    return error;
  }
  return fd;
}

net::Result<void> remove_stale(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) return net::failed_precondition(fmt::format("{}: is there and is no socket", path));
  if (answers(path)) return net::already_exists(fmt::format("{}: another process serves this socket", path));
  if (::unlink(path.c_str()) != 0) return system_error(path, "cannot remove the stale socket");
  return {};
}

}  // namespace

net::Result<SocketClaim> SocketClaim::take(const std::string& path) {
  if (path.empty() || path.size() > kSocketPathLimitBytes) {
    return net::invalid_argument(
        fmt::format("{}: socket path of {} bytes; allowed: 1..{}", path, path.size(), kSocketPathLimitBytes));
  }
  if (auto made = make_directory_of(path); !made) return made.error();
  auto lock = take_lock(path);
  if (!lock) return lock.error();
  SocketClaim claim(path, *lock);
  if (auto removed = remove_stale(path); !removed) return removed.error();
  return claim;
}

SocketClaim::~SocketClaim() {
  if (lock_fd_ >= 0) ::close(lock_fd_);  // PATH.lock stays: removing it would let two holders in
}

net::Result<std::unique_ptr<UnixServer>> UnixServer::listen(const std::string& path, grpc::Service& service) {
  auto claim = SocketClaim::take(path);
  if (!claim) return claim.error();
  return listen(std::move(claim).value(), service);
}

net::Result<std::unique_ptr<UnixServer>> UnixServer::listen(SocketClaim claim, grpc::Service& service) {
  const std::string path = claim.path();
  std::unique_ptr<UnixServer> self(new UnixServer(std::move(claim)));
  grpc::ServerBuilder builder;
  grpc::ResourceQuota quota("server");
  quota.SetMaxThreads(kServerThreadLimit);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(kMessageLimitBytes);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.AddListeningPort(socket_uri(path), grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const mode_t before = ::umask(kSocketUmask);
  self->server_ = builder.BuildAndStart();
  ::umask(before);
  if (self->server_ == nullptr) return net::failed_precondition(fmt::format("{}: cannot listen", path));
  return self;
}

UnixServer::~UnixServer() { stop(std::chrono::milliseconds(0)); }

void UnixServer::stop(std::chrono::milliseconds grace) {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now() + grace);
  server_->Wait();
  server_.reset();
}

std::shared_ptr<grpc::Channel> open_channel(const std::string& path) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageLimitBytes);
  return grpc::CreateCustomChannel(socket_uri(path), grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace millrace::api
