#include "datapath/io/vhost_port.h"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_vhost.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstring>
#include <initializer_list>
#include <mutex>
#include <utility>

#include "datapath/io/guest_calls.h"
#include "datapath/io/pool_ring.h"
#include "datapath/io/vhost_link.h"
#include "datapath/io/vhost_links.h"
#include "datapath/io/vhost_mbuf.h"
#include "net/offload.h"

namespace millrace::datapath::io {
namespace {

constexpr unsigned kLibraryBurst = 32;  // that DPDK's library enqueues at once
static_assert(kVhostQueuePairs <= KickSet::kPairs && 2 * kVhostQueuePairs <= GuestRings::kQueues);
constexpr std::uint64_t bits(std::initializer_list<unsigned> numbers) {
  std::uint64_t set = 0;
  for (const unsigned number : numbers) set |= 1ull << number;
  return set;
}
/// virtio 1.2, section 5.1.3: what a guest may have negotiated, by bit. GUEST_ is what it takes.
constexpr unsigned kGuestChecksumBit = 1, kGuestTso4Bit = 7, kGuestTso6Bit = 8;
/// GUEST_ECN, GUEST_UFO, HOST_ECN, HOST_UFO: DPDK has no flag for CWR in TCP that is to be cut, and UFO is of the past.
/// VHOST_F_LOG_ALL (vhost-user): the log is memory of the guest's whose place nobody tells (vhost_message.h), and no
/// pod is moved to another node while it runs.
constexpr std::uint64_t kNotOffered = bits({9, 10, 13, 14, 26});
constexpr std::uint64_t kLogProtocol = bits({1});  // VHOST_USER_PROTOCOL_F_LOG_SHMFD
constexpr unsigned kPackedRingBit = 34;            // section 6, VIRTIO_F_RING_PACKED

/// Bytes of one receive() after which the next asks for fewer packets, so that a guest with packets of 64 KB does not
/// hold up the worker's other ports; and for how many it always asks.
constexpr std::uint32_t kReceiveBytes = 256 * 1024;
constexpr unsigned kLeastReceived = 4;

/// The `number`-th bit that is set, modulo their count. Precondition: bits != 0.
unsigned pick_bit(std::uint64_t bits, unsigned number) noexcept {
  for (number %= static_cast<unsigned>(std::popcount(bits)); number > 0; --number) bits &= bits - 1;
  return static_cast<unsigned>(std::countr_zero(bits));
}

unsigned pair_of(const net::Packet& packet, std::uint64_t pairs) noexcept {
  if (std::has_single_bit(pairs)) return static_cast<unsigned>(std::countr_zero(pairs));
  const unsigned mixed = packet.headers.source_port ^ packet.headers.destination_port;
  return pick_bit(pairs, mixed ^ mixed >> 8);
}

/// Of the longest that IP can have; what a guest calls a packet may be longer (pool_ring.h, TakeLimit).
unsigned frames_of_packet(const MbufPool& pool) noexcept {
  return (net::kMaxPacketBytes + pool.data_room_bytes() - 1) / pool.data_room_bytes();
}

/// What a switch that was killed left would not let another listen.
net::Result<void> remove_old_socket(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return {};
  if (!S_ISSOCK(found.st_mode)) return net::already_exists(fmt::format("{}: is there and is no socket", path));
  if (::unlink(path.c_str()) == 0) return {};
  return net::failed_precondition(fmt::format("{}: {}", path, std::strerror(errno)));
}

/// DPDK 22.11, lib/vhost/socket.c: the first port starts the thread that serves all guests, and nothing keeps two ports
/// that are opened at once from starting one each. Both would serve every guest, and free what belongs to it twice.
int start_driver(const std::string& path) {
  static std::mutex one_after_another;
  const std::lock_guard lock(one_after_another);
  return rte_vhost_driver_start(path.c_str());
}

}  // namespace

VhostPort::VhostPort(MbufPool& pool, std::string path)
    : pool_(pool), path_(std::move(path)), link_(std::make_shared<VhostLink>(KickSet::create())) {}

net::Result<std::unique_ptr<VhostPort>> VhostPort::open(MbufPool& pool, const VhostOptions& options) {
  const std::string& path = options.path;
  constexpr std::size_t kLimit = sizeof(sockaddr_un::sun_path) - 1;
  if (path.empty() || path.front() != '/' || path.size() > kLimit || path.find('\0') != std::string::npos) {
    return net::invalid_argument(
        fmt::format("vhost-user socket {}: allowed: an absolute path of at most {} bytes", path, kLimit));
  }
  if (options.queue_pairs < 1 || options.queue_pairs > kVhostQueuePairs) {
    return net::invalid_argument(fmt::format("vhost-user socket {}: {} queue pairs; allowed: 1..{}", path,
                                             options.queue_pairs, kVhostQueuePairs));
  }
  std::unique_ptr<VhostPort> port(new VhostPort(pool, path));
  if (port->link_->kicks == nullptr) {
    port->link_ = nullptr;
    return net::resource_exhausted(
        fmt::format("vhost-user socket {}: no descriptor to wait on: {}", path, std::strerror(errno)));
  }
  if (!port->link_->memory.has_entry() || !LentMemory::watch()) {
    port->link_ = nullptr;
    return net::resource_exhausted(fmt::format("vhost-user socket {}: its guest's memory cannot be watched", path));
  }
  if (auto callable = GuestCalls::open(); !callable) {
    port->link_ = nullptr;
    return net::Error{callable.error().code, fmt::format("vhost-user socket {}: its guest cannot be called: {}", path,
                                                         callable.error().message)};
  }
  port->link_->pair_limit = options.queue_pairs;
  if (auto added = VhostLinks::all().add(path, port->link_, options.is_client); !added) {
    port->link_ = nullptr;  // the path is another port's to unregister, or nobody's
    return added.error();
  }
  if (!options.is_client) {
    if (auto removed = remove_old_socket(path); !removed) return removed.error();
  }
  const auto failed = [&](const char* what) {
    const int code = errno;
    return net::failed_precondition(fmt::format("vhost-user socket {}: {}: {}", path, what, std::strerror(code)));
  };
  errno = 0;
  const std::uint64_t role = options.is_client ? RTE_VHOST_USER_CLIENT : 0;
  if (rte_vhost_driver_register(path.c_str(), role | RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS) != 0) {
    return failed("register");
  }
  if (rte_vhost_driver_disable_features(path.c_str(), kNotOffered) != 0) return failed("features");
  std::uint64_t protocol = 0;
  if (rte_vhost_driver_get_protocol_features(path.c_str(), &protocol) != 0 ||
      rte_vhost_driver_set_protocol_features(path.c_str(), protocol & ~kLogProtocol) != 0) {
    return failed("protocol");
  }
  if (rte_vhost_driver_callback_register(path.c_str(), &kVhostEvents) != 0) return failed("events");
  if (start_driver(path) != 0) return failed(options.is_client ? "connect" : "listen");
  if (!options.is_client && options.mode != 0 && ::chmod(path.c_str(), options.mode) != 0) return failed("mode");
  return port;
}

VhostPort::~VhostPort() {
  if (link_ == nullptr) return;
  rte_vhost_driver_unregister(path_.c_str());  // ends the guest's connection, and takes a server's socket away
  link_->memory.settle({});                    // which DPDK has unmapped
  VhostLinks::all().remove(path_);
}

namespace {

/// The library has the worker's burst in hand.
class Burst {
 public:
  explicit Burst(VhostLink& link) noexcept : link_(link) {
    link_.in_burst.store(true, std::memory_order_seq_cst);
    guest_ = link_.guest.load(std::memory_order_seq_cst);
  }
  ~Burst() { link_.in_burst.store(false, std::memory_order_release); }
  Burst(const Burst&) = delete;
  Burst& operator=(const Burst&) = delete;
  int guest() const noexcept { return guest_; }

 private:
  VhostLink& link_;
  int guest_;
};

}  // namespace

unsigned VhostPort::receive(std::span<net::Packet*> out) noexcept {
  if (link_->guest.load(std::memory_order_relaxed) == kNoGuest) {
    // That it went has been told by the descriptor, and is known now. One that lost its memory may go on kicking.
    const std::uint32_t changes = link_->kicks->changes();
    const bool is_told = std::exchange(drained_changes_, changes) != changes;
    const bool may_kick = link_->kicks->pairs() != 0 && ++empty_turns_ % kIdleTurns == 0;
    if (is_told || may_kick) link_->kicks->drain();
    return 0;
  }
  const std::uint64_t pairs = link_->pairs.load(std::memory_order_relaxed);
  const unsigned count = dequeue(pairs, out);
  if (count != 0) {
    empty_turns_ = 0;
    return count;
  }
  link_->rings.look_ahead();
  if (++empty_turns_ < kIdleTurns) return 0;
  empty_turns_ = 0;
  // A change that comes after this is told by the descriptor, and seen by pending().
  const std::uint32_t changes = link_->kicks->changes();
  link_->kicks->drain();
  if (const Burst burst(*link_); burst.guest() != kNoGuest && is_stale(burst.guest())) let_kick(burst.guest(), true);
  seen_changes_ = changes;
  // The guest writes its ring, then looks whether to kick; here it is the other way round. One of the two sees it.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return dequeue(pairs, out);
}

/// Outside of a visit to the rings: the library takes the queue's lock for this, which a message of the guest may hold
/// while it waits for the visit's end.
void VhostPort::call(std::uint16_t queue) noexcept {
  if (const Burst burst(*link_); burst.guest() != kNoGuest) rte_vhost_vring_call(burst.guest(), queue);
}

void VhostPort::let_kick(int guest, bool may_kick) noexcept {
  for (std::uint64_t left = link_->kicks->pairs(); left != 0; left &= left - 1) {
    const auto pair = static_cast<unsigned>(std::countr_zero(left));
    rte_vhost_enable_guest_notification(guest, from_guest(pair), may_kick ? 1 : 0);
  }
  is_armed_ = may_kick;
  if (may_kick) armed_at_ = position(guest);
}

/// Another number after descriptors were taken, also when nothing came of them.
std::uint32_t VhostPort::position(int guest) const noexcept {
  std::uint32_t sum = 0;
  for (std::uint64_t left = link_->kicks->pairs(); left != 0; left &= left - 1) {
    std::uint16_t taken = 0, used = 0;
    rte_vhost_get_vring_base(guest, from_guest(static_cast<unsigned>(std::countr_zero(left))), &taken, &used);
    sum += taken;
  }
  return sum;
}

/// A guest with VIRTIO_F_EVENT_IDX kicks once, when it goes on from where the queue was: it has to be told again when
/// the queue has moved.
bool VhostPort::is_stale(int guest) const noexcept {
  return !is_armed_ || link_->kicks->changes() != seen_changes_ || position(guest) != armed_at_;
}

int VhostPort::wait_fd() const noexcept { return link_->kicks->descriptor(); }

bool VhostPort::pending() const noexcept {
  const Burst burst(*link_);
  return burst.guest() != kNoGuest && (is_stale(burst.guest()) || !link_->kicks->is_complete());
}

void VhostPort::count_refused() noexcept {
  link_->refused.store(link_->refused.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

unsigned VhostPort::dequeue(std::uint64_t pairs, std::span<net::Packet*> out) noexcept {
  std::array<rte_mbuf*, kBurst> mbufs;
  const std::size_t room = std::min<std::size_t>(out.size(), receive_limit_);
  unsigned count = 0, taken = 0;
  std::uint32_t bytes = 0;
  const auto pair_count = kVhostQueuePairs - static_cast<unsigned>(std::countl_zero(pairs));
  for (unsigned asked = 0; asked < pair_count && taken < room; ++asked) {
    next_pair_ = (next_pair_ + 1) % pair_count;
    const auto [here, is_all, must_call] =
        link_->rings.take(from_guest(next_pair_), pool_, out.subspan(count, room - taken));
    count += here;
    taken += here;
    if (must_call) call(from_guest(next_pair_));
    if (is_all) continue;
    const auto asked_for = static_cast<std::uint16_t>(room - taken);
    const TakeLimit limit(asked_for * frames_of_packet(pool_));
    const Burst burst(*link_);
    if (burst.guest() == kNoGuest) break;
    const unsigned got =
        rte_vhost_dequeue_burst(burst.guest(), from_guest(next_pair_), pool_.mempool(), mbufs.data(), asked_for);
    taken += got;
    if (limit.is_reached()) [[unlikely]] {
      count_refused();
      bytes += asked_for * net::kMaxPacketBytes;  // were copied, and dropped
    }
    for (unsigned i = 0; i < got; ++i) {
      bytes += mbufs[i]->pkt_len;
      net::Packet* const packet = vhost_mbuf::take(mbufs[i]);
      if (packet != nullptr) [[likely]] {
        out[count++] = packet;
      } else {
        count_refused();
      }
    }
  }
  receive_limit_ =
      bytes <= kReceiveBytes ? kBurst : std::max(kLeastReceived, taken * (kReceiveBytes / 1024) / (bytes / 1024));
  if (taken != 0 && is_armed_) {
    if (const Burst burst(*link_); burst.guest() != kNoGuest) let_kick(burst.guest(), false);
  }
  return count;
}

TxOffload VhostPort::tx_offload() const noexcept {
  const std::uint64_t features = link_->features.load(std::memory_order_relaxed);
  return {.checksum = (features >> kGuestChecksumBit & 1) != 0,
          .tcp4 = (features >> kGuestTso4Bit & 1) != 0,
          .tcp6 = (features >> kGuestTso6Bit & 1) != 0};
}

unsigned VhostPort::transmit(std::span<net::Packet* const> packets) noexcept {
  const std::uint64_t pairs = link_->pairs.load(std::memory_order_relaxed);
  if (pairs == 0) return 0;
  std::array<rte_mbuf*, kLibraryBurst> mbufs;
  const std::size_t count = packets.size();
  std::size_t sent = 0, end = 0;
  unsigned pair = 0;
  while (sent < count) {
    if (sent == end) {
      // As many as go to one queue.
      pair = pair_of(*packets[sent], pairs);
      while (end < count && pair_of(*packets[end], pairs) == pair) ++end;
    }
    const auto [given, is_all, must_call] = link_->rings.give(to_guest(pair), packets.subspan(sent, end - sent));
    sent += given;
    if (must_call) call(to_guest(pair));
    if (sent == end) continue;
    if (is_all) break;  // the queue is full
    const Burst burst(*link_);
    if (burst.guest() == kNoGuest) break;
    const auto part = packets.subspan(sent, std::min<std::size_t>(end - sent, kLibraryBurst));
    for (std::size_t i = 0; i < part.size(); ++i) mbufs[i] = vhost_mbuf::give(*part[i]);
    const unsigned taken =
        rte_vhost_enqueue_burst(burst.guest(), to_guest(pair), mbufs.data(), static_cast<std::uint16_t>(part.size()));
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (part[i]->is_chained()) [[unlikely]]
        vhost_mbuf::part(*mbufs[i]);
    }
    if (taken == 0) break;
    sent += taken;
  }
  pool_.release(packets.first(sent));  // they were copied
  return static_cast<unsigned>(sent);
}

VhostStatus VhostPort::status() const noexcept {
  VhostStatus status;
  status.is_connected = link_->guest.load() != kNoGuest;
  status.queue_pairs = status.is_connected ? static_cast<unsigned>(std::popcount(link_->pairs.load())) : 0;
  status.is_packed = status.is_connected && (link_->features.load() >> kPackedRingBit & 1) != 0;
  status.rx_refused = link_->refused.load();
  status.has_lost_memory = link_->has_lost_memory.load();
  status.memory_losses = link_->memory_losses.load();
  status.refusals = link_->refusals.load();
  return status;
}

}  // namespace millrace::datapath::io
