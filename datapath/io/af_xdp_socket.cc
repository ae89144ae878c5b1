#include "datapath/io/af_xdp_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "datapath/io/bpf_log.h"

namespace millrace::datapath::io {
namespace {

/// Packets one sendto sends; 32 without it. Linux 6.17, uapi/linux/if_xdp.h.
constexpr int kXdpMaxTxSkbBudget = 9;
/// Room in the socket's send account for a full ring of copies; an skb of a full frame counts about 2.5 KB.
constexpr int kSendBytesPerFrame = 4096;
/// The kernel frees a closed socket's queue in a work item of its own and after the last packet sent from it, without
/// telling anyone: whoever opens it again just then (a switch that starts after it was killed) is told EBUSY.
constexpr std::chrono::milliseconds kBusyPatience{1000};
constexpr std::chrono::milliseconds kBusyStep{5};

net::Error socket_error(const std::string& interface, const char* what, int status) {
  const int error = -status;
  const std::string text = fmt::format("AF_XDP on interface {}: {}: {}", interface, what, std::strerror(error));
  if (error == EBUSY) return net::unavailable(text + " (another process has a socket on this queue)");
  if (error == EPERM || error == EACCES) return net::permission_denied(text);
  return net::failed_precondition(text);
}

}  // namespace

net::Result<std::unique_ptr<AfXdpSocket>> AfXdpSocket::open(const MbufPool& pool, const AfXdpSocketOptions& options) {
  redirect_bpf_log();
  const auto limit = std::chrono::steady_clock::now() + kBusyPatience;
  for (;;) {
    std::unique_ptr<AfXdpSocket> self(new AfXdpSocket);
    const net::Result<void> bound = self->bind(pool, options);
    if (bound) return self;
    if (bound.error().code != net::ErrorCode::kUnavailable) return bound.error();
    if (std::chrono::steady_clock::now() > limit) return net::failed_precondition(bound.error().message);
    self.reset();
    std::this_thread::sleep_for(kBusyStep);
  }
}

net::Result<void> AfXdpSocket::bind(const MbufPool& pool, const AfXdpSocketOptions& options) {
  xsk_umem_config umem{};
  umem.fill_size = options.rx_ring_size * 2;
  umem.comp_size = options.tx_ring_size;
  umem.frame_size = pool.frame_stride_bytes();
  umem.frame_headroom = pool.frame_headroom_bytes();
  umem.flags = XDP_UMEM_UNALIGNED_CHUNK_FLAG;
  int status = xsk_umem__create(&umem_, pool.region(), pool.region_bytes(), &fill, &completion, &umem);
  if (status != 0) return socket_error(options.interface, "registering the packet memory", status);

  xsk_socket_config socket{};
  socket.rx_size = options.rx_ring_size;
  socket.tx_size = options.tx_ring_size;
  socket.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
  socket.bind_flags = XDP_USE_NEED_WAKEUP;  // zero copy where the driver has it: the kernel's default
  status = xsk_socket__create(&socket_, options.interface.c_str(), options.queue, umem_, &rx, &tx, &socket);
  if (status != 0) return socket_error(options.interface, fmt::format("queue {}", options.queue).c_str(), status);
  tune(options.tx_ring_size);
  return {};
}

AfXdpSocket::~AfXdpSocket() {
  if (socket_ != nullptr) xsk_socket__delete(socket_);
  if (umem_ != nullptr) xsk_umem__delete(umem_);
}

void AfXdpSocket::tune(std::uint32_t tx_ring_size) noexcept {
  // Both make sending cheaper and neither is needed: an older kernel sends in batches of 32, and without
  // CAP_NET_ADMIN the account is smaller and a full one is tried again on the next turn.
  const std::uint32_t budget = tx_ring_size;
  ::setsockopt(descriptor(), SOL_XDP, kXdpMaxTxSkbBudget, &budget, sizeof budget);
  const int account = static_cast<int>(tx_ring_size) * kSendBytesPerFrame;
  ::setsockopt(descriptor(), SOL_SOCKET, SO_SNDBUFFORCE, &account, sizeof account);
}

bool AfXdpSocket::zero_copy() const noexcept {
  xdp_options options{};
  socklen_t length = sizeof options;
  return ::getsockopt(descriptor(), SOL_XDP, XDP_OPTIONS, &options, &length) == 0 &&
         (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
}

xdp_statistics AfXdpSocket::statistics() const noexcept {
  xdp_statistics statistics{};
  socklen_t length = sizeof statistics;
  ::getsockopt(descriptor(), SOL_XDP, XDP_STATISTICS, &statistics, &length);
  return statistics;
}

int AfXdpSocket::take_error() const noexcept {
  int error = 0;
  socklen_t length = sizeof error;
  return ::getsockopt(descriptor(), SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

}  // namespace millrace::datapath::io
