/// AfXdpPort: one queue of a kernel interface (a pod's veth, the host port, a NIC) as a Port, over AF_XDP.
///
/// Shape:   our own XDP program redirects every packet of the queue to the socket. It is attached through a BPF link:
///          when the process ends, however it ends, the kernel takes it off. Native mode, else generic. Zero copy where
///          the driver has it, else copy.
/// Thread:  open and the destructor: a control thread, while no worker polls the port. The Port calls: its worker.
/// Errors:  kNotFound when there is no such interface; kFailedPrecondition with the kernel's reason.
/// Checksums: a pod may leave TCP and UDP checksums to offload and AF_XDP does not say so. receive() leaves that to
///          the pipeline (a field that equals the pseudo-header sum is partial); what transmit() is given is complete.
/// Source:  kernel Documentation/networking/af_xdp.rst; libxdp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "datapath/io/mbuf_pool.h"
#include "datapath/port.h"
#include "net/result.h"

namespace millrace::datapath::io {

enum class XdpMode { kNative, kGeneric };

struct AfXdpOptions {
  std::string interface;
  std::uint32_t queue = 0;
  std::uint32_t rx_ring_size = 2048;  // powers of two
  std::uint32_t tx_ring_size = 2048;
};

class AfXdpPort final : public Port {
 public:
  /// `pool` must outlive the port.
  static net::Result<std::unique_ptr<AfXdpPort>> open(MbufPool& pool, const AfXdpOptions& options);
  ~AfXdpPort() override;

  unsigned receive(std::span<net::Packet*> out) noexcept override;
  unsigned transmit(std::span<net::Packet* const> packets) noexcept override;
  void flush() noexcept override;
  int wait_fd() const noexcept override;

  XdpMode mode() const noexcept;
  const std::string& interface() const noexcept;
  /// True when the interface is gone or down for good (the socket reports an error).
  bool dead() const noexcept;

 private:
  AfXdpPort();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace::datapath::io
