#include "perf/gen/device/virtio_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace millrace::perf::gen {
namespace {

/// 0, or errno of the attempt.
int knock(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int error = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

/// Makes way for the device's own socket.
net::Result<void> clear_path(const std::string& port, const std::string& path) {
  std::error_code ignored;
  const auto kind = std::filesystem::symlink_status(path, ignored).type();
  if (kind == std::filesystem::file_type::not_found) return {};
  if (kind != std::filesystem::file_type::socket) {
    return net::Error{net::ErrorCode::kAlreadyExists,
                      fmt::format("--port {}: {} is there and is no socket", port, path)};
  }
  const int error = knock(path);
  if (error == ECONNREFUSED) {
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
    return net::permission_denied(
        fmt::format("--port {}: {} is left of a program that has ended, and cannot be removed: {}", port, path,
                    std::strerror(errno)));
  }
  if (error == 0 || error == EPROTOTYPE) {
    return net::Error{net::ErrorCode::kAlreadyExists,
                      fmt::format("--port {}: another program serves {}: end it, or name another path", port, path)};
  }
  return net::permission_denied(fmt::format("--port {}: {}: {}", port, path, std::strerror(error)));
}

}  // namespace

net::Result<void> prepare_virtio_socket(const std::string& device) {
  constexpr std::string_view kPath = "path=";
  const auto begin = device.find(kPath);
  if (!device.starts_with("net_virtio_user") || begin == std::string::npos) return {};
  const auto from = begin + kPath.size();
  const std::string path = device.substr(from, device.find(',', from) - from);
  const std::string port = device.substr(0, device.find(','));
  if (device.find(",server=1") != std::string::npos) return clear_path(port, path);
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return {};
  return net::not_found(fmt::format(
      "--port {}: there is no {}: start the switch first, or say server=1 and it comes to this end", port, path));
}

}  // namespace millrace::perf::gen
