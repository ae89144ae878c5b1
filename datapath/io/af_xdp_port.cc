#include "datapath/io/af_xdp_port.h"

#include <fmt/format.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

#include "datapath/io/af_xdp_socket.h"
#include "datapath/io/fill_ring.h"
#include "datapath/io/frame_ledger.h"
#include "datapath/io/tx_queue.h"

namespace millrace::datapath::io {
namespace {

constexpr std::uint32_t kMinRingSize = kFloorFrames;
constexpr std::uint32_t kMaxRingSize = 32768;
constexpr std::uint32_t kEthernetBytes = 14 + 2 * 4;  // header and two VLAN tags

net::Result<void> check_ring(const char* name, std::uint32_t size) {
  if (std::has_single_bit(size) && size >= kMinRingSize && size <= kMaxRingSize) return {};
  return net::invalid_argument(
      fmt::format("{} is {}: a power of two from {} to {} is possible", name, size, kMinRingSize, kMaxRingSize));
}

/// The interface's MTU, or nothing when the kernel does not say.
std::optional<std::uint32_t> mtu_of(const std::string& interface) {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return std::nullopt;
  ifreq request{};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  const bool known = ::ioctl(socket, SIOCGIFMTU, &request) == 0;
  ::close(socket);
  return known ? std::optional(static_cast<std::uint32_t>(request.ifr_mtu)) : std::nullopt;
}

net::Result<unsigned> check(const MbufPool& pool, const AfXdpOptions& options) {
  if (auto ring = check_ring("rx_ring_size", options.rx_ring_size); !ring) return ring.error();
  if (auto ring = check_ring("tx_ring_size", options.tx_ring_size); !ring) return ring.error();
  const unsigned index = ::if_nametoindex(options.interface.c_str());
  if (index == 0) return net::not_found(fmt::format("no interface {}", options.interface));
  const std::uint32_t frame = mtu_of(options.interface).value_or(0) + kEthernetBytes;
  if (frame > pool.data_room_bytes()) {
    return net::failed_precondition(fmt::format("interface {} has an MTU of {} bytes, packets of the pool hold {}",
                                                options.interface, frame - kEthernetBytes,
                                                pool.data_room_bytes() - kEthernetBytes));
  }
  return index;
}

/// Gives the queue's slot in `program` to `socket`. The first queue (nullptr) chooses: the shared one, or one of its own.
net::Result<void> join_program(const AfXdpOptions& options, unsigned index, unsigned queue, int socket,
                               std::shared_ptr<const XdpProgram>& program) {
  if (program != nullptr) return program->add_socket(index, queue, socket);
  if (options.program != nullptr) {
    auto added = options.program->add_socket(index, queue, socket);
    if (added) program = options.program;
    if (added || added.error().code != net::ErrorCode::kAlreadyExists || options.this_program_only) return added;
  }
  auto own = XdpProgram::load();
  if (!own) return own.error();
  program = std::move(own).value();
  return program->add_socket(index, queue, socket);
}

}  // namespace

struct AfXdpPort::State {
  State(MbufPool& packet_pool, std::string name, std::unique_ptr<AfXdpSocket> xsk, std::uint32_t rx_ring_size)
      : pool(packet_pool),
        interface(std::move(name)),
        ledger(packet_pool.count()),
        socket(std::move(xsk)),
        fill(std::in_place, socket->fill, pool, ledger, rx_ring_size, !socket->zero_copy()),
        tx(*socket, pool, ledger) {}
  ~State();

  MbufPool& pool;
  std::string interface;
  FrameLedger ledger;
  std::unique_ptr<AfXdpSocket> socket;
  std::optional<FillRing> fill;
  TxQueue tx;
  std::shared_ptr<const XdpLink> link;  // of all queues of the interface
  mutable std::atomic<bool> dead{false};
};

AfXdpPort::State::~State() {
  // First the packets stop, then the kernel lets go of the memory, then nothing of it is the kernel's any more.
  link.reset();
  fill.reset();
  socket.reset();
  std::array<std::uint64_t, kBurst> offsets;
  std::size_t count = 0;
  const std::lock_guard lock(pool.control_mutex());
  ledger.drain([&](std::uint32_t index) {
    offsets[count++] = pool.offset_at(index);
    if (count == offsets.size()) pool.release_frames(std::span(offsets).first(std::exchange(count, 0)));
  });
  if (count != 0) pool.release_frames(std::span(offsets).first(count));
}

AfXdpPort::AfXdpPort() = default;
AfXdpPort::~AfXdpPort() = default;

net::Result<std::unique_ptr<AfXdpPort>> AfXdpPort::prepare(MbufPool& pool, const AfXdpOptions& options, unsigned index,
                                                           unsigned queue, std::shared_ptr<const XdpProgram>& program) {
  auto socket = AfXdpSocket::open(pool, {.interface = options.interface,
                                         .queue = queue,
                                         .rx_ring_size = options.rx_ring_size,
                                         .tx_ring_size = options.tx_ring_size});
  if (!socket) return socket.error();
  if (auto joined = join_program(options, index, queue, (*socket)->descriptor(), program); !joined) {
    return joined.error();
  }
  std::unique_ptr<AfXdpPort> port(new AfXdpPort);
  const std::lock_guard lock(pool.control_mutex());
  port->state_ = std::make_unique<State>(pool, options.interface, std::move(socket).value(), options.rx_ring_size);
  return port;
}

net::Result<std::vector<std::unique_ptr<AfXdpPort>>> AfXdpPort::open_queues(MbufPool& pool, const AfXdpOptions& options,
                                                                            unsigned count) {
  const auto index = check(pool, options);
  if (!index) return index.error();
  std::shared_ptr<const XdpProgram> program;
  std::vector<std::unique_ptr<AfXdpPort>> ports;
  for (unsigned queue = 0; queue < count; ++queue) {
    auto port = prepare(pool, options, *index, queue, program);
    if (!port) return port.error();
    ports.push_back(std::move(port).value());
  }
  // Last: from here on packets arrive, and frames for them are ready.
  auto link = XdpLink::attach(std::move(program), options.interface, *index);
  if (!link) return link.error();
  const auto shared = std::make_shared<const XdpLink>(std::move(link).value());
  for (const auto& port : ports) port->state_->link = shared;
  return ports;
}

net::Result<std::unique_ptr<AfXdpPort>> AfXdpPort::open(MbufPool& pool, const AfXdpOptions& options) {
  auto ports = open_queues(pool, options, 1);
  if (!ports) return ports.error();
  return std::move(ports->front());
}

unsigned AfXdpPort::receive(std::span<net::Packet*> out) noexcept {
  State& state = *state_;
  if (state.tx.pending()) state.tx.kick();
  if (state.tx.in_flight() != 0) state.tx.reclaim();

  xsk_ring_cons& rx = state.socket->rx;
  std::uint32_t position = 0;
  const std::uint32_t n = xsk_ring_cons__peek(&rx, static_cast<std::uint32_t>(out.size()), &position);
  for (std::uint32_t i = 0; i < n; ++i) {
    out[i] = state.pool.packet_at(frame_of(xsk_ring_cons__rx_desc(&rx, position + i)->addr));
    __builtin_prefetch(out[i], 1);
  }
  for (std::uint32_t i = 0; i < n; ++i) {
    const xdp_desc& descriptor = *xsk_ring_cons__rx_desc(&rx, position + i);
    const std::uint64_t frame = frame_of(descriptor.addr);
    net::Packet& packet = *out[i];
    MbufPool::reset(packet);
    packet.data = reinterpret_cast<std::uint8_t*>(state.pool.region() + frame + distance_of(descriptor.addr));
    __builtin_prefetch(packet.data);
    packet.head_bytes = descriptor.len;
    packet.length_bytes = descriptor.len;
    state.ledger.take_back(state.pool.index_of(frame));
  }
  if (n != 0) xsk_ring_cons__release(&rx, n);
  state.fill->received(n, rx.cached_prod - rx.cached_cons);
  if (xsk_ring_prod__needs_wakeup(&state.socket->fill)) {
    // A driver with zero copy sleeps until it is told that there are frames again.
    ::recvfrom(state.socket->descriptor(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
  }
  return n;
}

unsigned AfXdpPort::transmit(std::span<net::Packet* const> packets) noexcept { return state_->tx.queue(packets); }

void AfXdpPort::flush() noexcept {
  state_->tx.kick();
  state_->tx.reclaim();
}

int AfXdpPort::wait_fd() const noexcept { return state_->socket->descriptor(); }
bool AfXdpPort::pending() const noexcept { return state_->tx.pending(); }
XdpMode AfXdpPort::mode() const noexcept { return state_->link->mode(); }
bool AfXdpPort::zero_copy() const noexcept { return state_->socket->zero_copy(); }
const std::string& AfXdpPort::interface() const noexcept { return state_->interface; }

bool AfXdpPort::dead() const noexcept {
  if (state_->tx.dead() || state_->socket->take_error() != 0) state_->dead.store(true, std::memory_order_relaxed);
  return state_->dead.load(std::memory_order_relaxed);
}

AfXdpStatistics AfXdpPort::statistics() const noexcept {
  const xdp_statistics kernel = state_->socket->statistics();
  // The kernel counts a full ring apart and an empty fill ring among the dropped.
  return {.rx_dropped = kernel.rx_dropped + kernel.rx_ring_full,
          .rx_no_frames = kernel.rx_fill_ring_empty_descs,
          .rx_ring_full = kernel.rx_ring_full,
          .tx_invalid = kernel.tx_invalid_descs};
}

std::uint32_t AfXdpPort::frames_ready() const noexcept { return state_->fill->held(); }

}  // namespace millrace::datapath::io
