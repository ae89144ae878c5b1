#include "cni-shim/dhcp_daemon.h"

#include <chrono>

#include "cni-shim/unix_socket.h"

namespace millrace::cni_shim {
namespace {

/// A listener's queue that is full for longer is no listener.
constexpr std::chrono::milliseconds kConnectTimeout{2'000};

}  // namespace

CniResult<void> check_dhcp_daemon(const std::string& socket_path) {
  const auto connected = connect_unix(socket_path, Deadline(kConnectTimeout), "the daemon of the IPAM plugin dhcp");
  if (connected) return {};
  const bool denied = connected.error().code == GrpcCode::kPermissionDenied;
  return CniError{denied ? CniCode::kNotPermitted : CniCode::kTryAgainLater,
                  connected.error().message + "; start it (dhcp daemon), or set ipam.daemonSocketPath", ""};
}

}  // namespace millrace::cni_shim
