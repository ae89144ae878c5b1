/// AfXdpPort: one queue of a kernel interface (a pod's veth, the host port, a NIC) as a Port, over AF_XDP.
///
/// Shape:   our own XDP program redirects every packet of the queue to the socket. It is attached through a BPF link:
///          when the process ends, however it ends, the kernel takes it off. Native mode, else generic. Zero copy where
///          the driver has it, else copy. Packets of the interface's other queues, if it has any, are dropped; an
///          uplink's are the kernel's.
/// Thread:  open, the destructor, dead and statistics: control threads; open and the destructor while no worker polls
///          the port. The Port calls: its worker.
/// Errors:  kInvalidArgument for a ring size; kNotFound when there is no such interface; kPermissionDenied;
///          kFailedPrecondition with the kernel's reason, or when the interface's MTU is more than a frame can hold.
/// Frames:  what the kernel still has when the port is closed goes back to the pool.
/// Checksums: a pod may leave TCP and UDP checksums to offload and AF_XDP does not say so. receive() leaves that to
///          the pipeline (a field that equals the pseudo-header sum is partial); what transmit() is given is complete.
/// Source:  kernel Documentation/networking/af_xdp.rst; libxdp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datapath/io/mbuf_pool.h"
#include "datapath/io/xdp_program.h"
#include "datapath/port.h"
#include "net/result.h"

namespace millrace::datapath::io {

struct AfXdpOptions {
  std::string interface;
  std::uint32_t rx_ring_size = 2048;  // powers of two, 64 to 32768
  std::uint32_t tx_ring_size = 2048;
  /// Shared with other ports, which makes opening and closing cheap; none: the port loads one of its own.
  std::shared_ptr<const XdpProgram> program = nullptr;
  /// An uplink's: no other will do when the interface's slot in it is taken.
  bool this_program_only = false;
};

/// What the kernel dropped at the socket, before the switch saw it. Since the port was opened.
struct AfXdpStatistics {
  std::uint64_t rx_dropped = 0;    // packets, all that were lost here
  std::uint64_t rx_no_frames = 0;  // of these: the fill ring was empty
  std::uint64_t rx_ring_full = 0;  // of these: the worker did not come in time
  std::uint64_t tx_invalid = 0;    // descriptors the kernel refused: a fault of the switch
};

class AfXdpPort final : public Port {
 public:
  /// Queue 0. `pool` must outlive the port.
  static net::Result<std::unique_ptr<AfXdpPort>> open(MbufPool& pool, const AfXdpOptions& options);
  /// Queues 0 .. count - 1, each a port of its own, behind one link: the program is attached after the last socket is
  /// there, and taken off with the last port. Error: also kInvalidArgument for a queue that the program has no slot for.
  static net::Result<std::vector<std::unique_ptr<AfXdpPort>>> open_queues(MbufPool& pool, const AfXdpOptions& options,
                                                                          unsigned count);
  ~AfXdpPort() override;

  unsigned receive(std::span<net::Packet*> out) noexcept override;
  unsigned transmit(std::span<net::Packet* const> packets) noexcept override;
  void flush() noexcept override;
  int wait_fd() const noexcept override;
  bool pending() const noexcept override;

  XdpMode mode() const noexcept;
  bool zero_copy() const noexcept;
  const std::string& interface() const noexcept;
  /// True when the socket lost its interface (deleted, or moved to another namespace): it never comes back.
  bool dead() const noexcept;
  AfXdpStatistics statistics() const noexcept;
  /// Frames of the pool that wait in the kernel for packets to come. The port's worker only.
  std::uint32_t frames_ready() const noexcept;

 private:
  AfXdpPort();
  /// Everything but the link.
  static net::Result<std::unique_ptr<AfXdpPort>> prepare(MbufPool& pool, const AfXdpOptions& options, unsigned index,
                                                         unsigned queue, std::shared_ptr<const XdpProgram>& program);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace::datapath::io
