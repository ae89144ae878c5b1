#include "perf/gen/connect/loop.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "perf/gen/connect/server.h"

namespace millrace::perf::gen {
namespace {

constexpr unsigned kOpenBurst = 32;
constexpr std::uint64_t kLookNs = 1'000'000;  // how often somebody may want a copy of the counts

}  // namespace

ConnectLoop::ConnectLoop(datapath::PacketPool& pool, Clock& clock, datapath::Port& client, datapath::Port* server,
                         const ClientOptions& options, const Schedule& schedule)
    : clock_(clock),
      stock_(pool),
      client_(client),
      server_(server),
      clients_(options),
      response_bytes_(options.response_bytes),
      schedule_(schedule) {}

void ConnectLoop::flush(Out& out, datapath::Port& port) noexcept {
  if (out.count == 0) return;
  const unsigned taken = port.transmit(std::span(out.packets).first(out.count));
  out.count -= taken;
  if (taken != 0) std::memmove(out.packets.data(), out.packets.data() + taken, out.count * sizeof(net::Packet*));
  port.flush();
}

/// What is written over `packet` goes out, or the packet back into the stock.
void ConnectLoop::put(Out& out, net::Packet* packet, bool send) noexcept {
  if (send) {
    out.packets[out.count++] = packet;
  } else {
    stock_.give(packet);
  }
}

void ConnectLoop::turn(std::uint64_t now_ns, std::optional<std::uint64_t> open_by_ns) noexcept {
  std::array<net::Packet*, datapath::kBurst> burst;
  // Each packet that arrives makes one at most: no more are taken than can be answered.
  unsigned count = server_ == nullptr ? 0 : server_->receive(std::span(burst).first(from_server_.room()));
  for (unsigned i = 0; i < count; ++i) put(from_server_, burst[i], serve(*burst[i], response_bytes_));
  worked_ = count != 0;
  count = client_.receive(std::span(burst).first(from_client_.room()));
  for (unsigned i = 0; i < count; ++i) put(from_client_, burst[i], clients_.take(*burst[i], now_ns));
  worked_ |= count != 0;
  for (unsigned opened = 0; open_by_ns && opened < kOpenBurst && schedule_.is_due(*open_by_ns); ++opened) {
    worked_ = true;
    if (!schedule_.is_paced() && clients_.full()) break;  // as fast as slots become free
    net::Packet* const packet = from_client_.room() == 0 ? nullptr : stock_.take();
    if (packet == nullptr) break;
    packet->head_bytes = packet->length_bytes = clients_.open(packet->data, schedule_.take(now_ns), now_ns);
    put(from_client_, packet, packet->length_bytes != 0);
  }
  if (net::Packet* const packet = from_client_.room() == 0 ? nullptr : stock_.take(); packet != nullptr) {
    packet->head_bytes = packet->length_bytes = clients_.sweep(packet->data, now_ns);
    put(from_client_, packet, packet->length_bytes != 0);
  }
  flush(from_client_, client_);
  if (server_ != nullptr) flush(from_server_, *server_);
}

ConnectLoop::~ConnectLoop() {
  for (const Out* out : {&from_client_, &from_server_}) {
    for (unsigned i = 0; i < out->count; ++i) stock_.give(out->packets[i]);
  }
}

void ConnectLoop::run(std::uint64_t end_ns, std::uint64_t drain_ns, const std::atomic<bool>& stop) noexcept {
  std::uint64_t now_ns = clock_.now_ns(), looked_ns = now_ns;
  bool opening = true;
  for (;;) {
    const bool stopped = stop.load(std::memory_order_relaxed) || schedule_.ended();
    if (stopped && now_ns < end_ns) end_ns = now_ns;
    // What was due before the end may still go, for a while.
    const bool in_grace =
        !stopped && now_ns < end_ns + kGraceNs && schedule_.is_paced() && schedule_.is_due(end_ns - 1);
    if (opening && now_ns >= end_ns && !in_grace) {
      opening = false;
      unopened_ = schedule_.is_paced() ? schedule_.due_before(end_ns) - schedule_.taken() : 0;
    }
    turn(now_ns, opening ? std::optional(std::min(now_ns, end_ns - 1)) : std::nullopt);
    const std::uint64_t next_ns = clock_.now_ns();
    if (opening) (worked_ ? busy_ns_ : idle_ns_) += next_ns - now_ns;
    if (next_ns - looked_ns >= kLookNs) {
      looked_ns = next_ns;
      live_.fill_if_wanted([this](ConnectCounts& copy) {
        copy = {clients_.counts(), clients_.connect_ns(), clients_.response_ns(), idle_ns_, busy_ns_};
      });
    }
    if (!opening && (clients_.counts().open == 0 || now_ns - end_ns >= drain_ns)) return;
    now_ns = next_ns;
  }
}

}  // namespace millrace::perf::gen
