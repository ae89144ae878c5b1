/// VhostPort: the switch's side of a virtio-net device, for a guest that shares its memory by a unix socket: a virtual
/// machine, or a process with DPDK's virtio-user.
///
/// Shape:   as a server the switch listens at `path`, as a client it connects there, again and again until somebody
///          listens. Either side may go and come back without the other being started again. One guest at a time; a
///          second one is refused. Split and packed rings, indirect and mergeable descriptors, up to kVhostQueuePairs
///          queue pairs, which the port's worker polls in turn; what is sent goes to the queue of its ports, so that a
///          flow stays in order.
/// Rest:    while packets come the guest is told not to kick, which would cost it a system call a burst. After
///          kIdleTurns empty turns it is told to, and the worker may wait on wait_fd(); until then, and with a guest
///          that has a queue without an eventfd, pending() holds the worker at naps.
/// Offload: a guest may leave checksums and the cutting of TCP to the switch, and have them left to itself
///          (VIRTIO_NET_F_CSUM, HOST_TSO4 and 6, GUEST_CSUM, GUEST_TSO4 and 6). What it says of a packet is not
///          believed: net/offload.h. A packet that does not fit into a frame of the pool and is not to be cut is
///          counted and dropped.
/// Trust:   rings, descriptors and lengths are checked against the guest's memory, by DPDK's vhost library or by
///          GuestRings, which serves what is usual on split rings; memory is copied from and to, nothing of it is kept.
/// Thread:  open, the destructor, status: control threads; the destructor while no worker polls the port. The Port
///          calls: the port's worker. DPDK tells of guests on a thread of its own (vhost-events), which waits for the
///          worker's burst in hand before a guest's memory goes.
/// Errors:  kInvalidArgument for a path that no socket can have, and for a number of pairs; kAlreadyExists for a path
///          of another port, or of what is no socket; kResourceExhausted, kFailedPrecondition with what there was none
///          of, or DPDK's reason.
/// Source:  virtio 1.2, section 5.1; QEMU, docs/interop/vhost-user.rst; DPDK Programmer's Guide 22.11, "Vhost Library".
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "datapath/io/mbuf_pool.h"
#include "datapath/port.h"
#include "net/result.h"

namespace millrace::datapath::io {

/// Most pairs of a guest that a port serves; what it has beyond them is not read and not written, and the log says so.
inline constexpr unsigned kVhostQueuePairs = 64;

/// Empty turns in a row after which the guest is to kick: about what a worker spins before it lets others run.
inline constexpr unsigned kIdleTurns = 64;

struct VhostOptions {
  std::string path;                         // absolute; a socket that a server left there is taken away
  bool is_client = false;                   // the guest listens
  unsigned queue_pairs = kVhostQueuePairs;  // that a guest is served by, 1..kVhostQueuePairs
  mode_t mode = 0;                          // of a server's socket: who may be the guest; 0: as the umask says
};

struct VhostStatus {
  bool is_connected = false;     // a guest is there, and its rings are
  unsigned queue_pairs = 0;      // of which the guest takes packets
  bool is_packed = false;        // rings
  std::uint64_t rx_refused = 0;  // larger than a frame of the pool, and not to be cut
  bool has_lost_memory = false;  // the guest took its memory back: it is served again when it has connected anew
  std::uint64_t memory_losses = 0;
  std::uint64_t refusals = 0;  // messages of guests, and guests that kept the switch waiting; of all since open()
};

struct VhostLink;

class VhostPort final : public Port {
 public:
  /// `pool` must outlive the port.
  static net::Result<std::unique_ptr<VhostPort>> open(MbufPool& pool, const VhostOptions& options);
  ~VhostPort() override;
  VhostPort(const VhostPort&) = delete;
  VhostPort& operator=(const VhostPort&) = delete;

  unsigned receive(std::span<net::Packet*> out) noexcept override;
  unsigned transmit(std::span<net::Packet* const> packets) noexcept override;
  /// What the guest that is there, or was last, takes.
  TxOffload tx_offload() const noexcept override;
  int wait_fd() const noexcept override;
  /// The guest does not kick yet.
  bool pending() const noexcept override;
  VhostStatus status() const noexcept;

 private:
  VhostPort(MbufPool& pool, std::string path);
  unsigned dequeue(std::uint64_t pairs, std::span<net::Packet*> out) noexcept;
  void count_refused() noexcept;
  void call(std::uint16_t queue) noexcept;
  void let_kick(int guest, bool may_kick) noexcept;
  std::uint32_t position(int guest) const noexcept;
  bool is_stale(int guest) const noexcept;

  MbufPool& pool_;
  const std::string path_;
  std::shared_ptr<VhostLink> link_;
  unsigned next_pair_ = 0;             // to be asked first
  unsigned receive_limit_ = kBurst;    // packets
  unsigned empty_turns_ = 0;           // or those without a guest
  bool is_armed_ = false;              // the guest was told to kick, and nothing came since
  std::uint32_t armed_at_ = 0;         // position() then
  std::uint32_t drained_changes_ = 0;  // of the guest's queues, when there was no guest
  std::uint32_t seen_changes_ = 0;     // of the guest's queues, when it was told to kick
};

}  // namespace millrace::datapath::io
