#include "control/agent/offload.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace millrace::control::agent {
namespace {

net::Result<void> call_ethtool(const std::string& interface, ethtool_value& value) {
  if (interface.size() >= IFNAMSIZ) return net::invalid_argument("interface " + interface + ": the name is too long");
  ifreq request{};
  std::copy(interface.begin(), interface.end(), request.ifr_name);
  request.ifr_data = reinterpret_cast<char*>(&value);
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return net::internal_error(std::string("socket: ") + std::strerror(errno));
  const int code = ioctl(fd, SIOCETHTOOL, &request);
  const int number = errno;
  close(fd);
  if (code == 0) return {};
  std::string message = "offload of interface " + interface + ": " + std::strerror(number);
  if (number == ENODEV) return net::not_found(std::move(message));
  if (number == EOPNOTSUPP || number == EINVAL) return net::failed_precondition(std::move(message));
  return net::internal_error(std::move(message));
}

}  // namespace

net::Result<void> enable_gro(const std::string& interface) {
  ethtool_value value{};
  value.cmd = ETHTOOL_SGRO;
  value.data = 1;
  auto set = call_ethtool(interface, value);
  if (!set && set.error().code == net::ErrorCode::kFailedPrecondition) return {};
  return set;
}

net::Result<bool> has_gro(const std::string& interface) {
  ethtool_value value{};
  value.cmd = ETHTOOL_GGRO;
  if (auto got = call_ethtool(interface, value); !got) return got.error();
  return value.data != 0;
}

}  // namespace millrace::control::agent
