#include "control/agent/sysctl.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace millrace::control::agent {
namespace {

std::string path_of(const std::string& name) { return "/proc/sys/net/" + name; }

net::Error file_error(const std::string& name, int number) {
  std::string message = "sysctl net/" + name + ": " + std::strerror(number);
  if (number == ENOENT) return net::not_found(std::move(message));
  if (number == EACCES || number == EPERM || number == EROFS) return net::permission_denied(std::move(message));
  return net::internal_error(std::move(message));
}

}  // namespace

net::Result<std::string> read_sysctl(const std::string& name) {
  const int fd = open(path_of(name).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return file_error(name, errno);
  std::array<char, 4096> buffer{};
  std::string value;
  ssize_t length = 0;
  while ((length = read(fd, buffer.data(), buffer.size())) > 0) {
    value.append(buffer.data(), static_cast<std::size_t>(length));
  }
  const int number = errno;
  close(fd);
  if (length < 0) return file_error(name, number);
  while (!value.empty() && value.back() == '\n') value.pop_back();
  return value;
}

net::Result<void> write_sysctl(const std::string& name, const std::string& value) {
  auto now = read_sysctl(name);
  if (!now) return now.error();
  if (*now == value) return {};
  const int fd = open(path_of(name).c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return file_error(name, errno);
  const ssize_t written = write(fd, value.data(), value.size());
  const int number = errno;
  close(fd);
  if (written != static_cast<ssize_t>(value.size())) return file_error(name, number);
  return {};
}

bool has_ipv6() { return access("/proc/sys/net/ipv6/conf/all/disable_ipv6", F_OK) == 0; }

std::vector<std::string> ipv6_interfaces() {
  std::vector<std::string> names;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/sys/net/ipv6/conf", failed)) {
    std::string name = entry.path().filename().string();
    if (name != "all" && name != "default") names.push_back(std::move(name));
  }
  return names;
}

}  // namespace millrace::control::agent
