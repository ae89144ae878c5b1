#include "datapath/outbox.h"

#include <algorithm>
#include <bit>

#include "datapath/steer.h"

namespace millrace::datapath {

Outbox::Outbox(WorkerId self, PacketPool& pool, HandoffRings& rings, WorkerCounters& counters, EventTap& tap)
    : self_(self), pool_(pool), rings_(rings), counters_(counters), tap_(tap), chains_(counters.port_limit()) {
  written_.reserve(counters.port_limit());
}

void Outbox::flush() noexcept {
  for (unsigned i = 0; i < active_count_; ++i) {
    // A turn writes to many ports: the next ones' devices and counters are on their way while this one is written.
    if (i + kPortsAhead < active_count_) prefetch_port(active_[i + kPortsAhead]);
    send_chain(active_[i]);
  }
  active_count_ = 0;
  queued_ = 0;
}

void Outbox::prefetch_port(net::PortId id) noexcept {
  __builtin_prefetch(snapshot_->ports[id].port);
  __builtin_prefetch(&counters_.port(id).tx_packets, 1);
}

void Outbox::finish() noexcept {
  flush();
  for (const net::PortId id : written_) {
    snapshot_->ports[id].port->flush();
    chains_[id].was_written = false;
  }
  for (; wake_mask_ != 0; wake_mask_ &= wake_mask_ - 1) {
    rings_.wake(static_cast<WorkerId>(std::countr_zero(wake_mask_)));
  }
}

void Outbox::send_chain(net::PortId id) noexcept {
  std::array<net::Packet*, kOutboxSize> packets;
  unsigned count = 0;
  Chain& chain = chains_[id];
  for (std::uint16_t index = chain.first; index != kEnd; index = next_[index]) packets[count++] = packets_[index];
  chain.first = kEnd;
  transmit(id, {packets.data(), count});
}

void Outbox::transmit(net::PortId id, std::span<net::Packet* const> packets) noexcept {
  Port& port = *snapshot_->ports[id].port;
  PortCounters& row = counters_.port(id);
  while (!packets.empty()) {
    const auto burst = packets.first(std::min<std::size_t>(packets.size(), kBurst));
    std::uint64_t bytes = 0;
    for (const net::Packet* packet : burst) bytes += packet->length_bytes;
    // What the port takes is its own from here: only the rest may still be read.
    const unsigned taken = port.transmit(burst);
    for (const net::Packet* packet : burst.subspan(taken)) bytes -= packet->length_bytes;
    row.tx_packets.add(taken);
    row.tx_bytes.add(bytes);
    packets = packets.subspan(taken);
    if (taken < burst.size()) break;
  }
  drop(packets, net::Drop::kTxRingFull);
  if (Chain& chain = chains_[id]; !chain.was_written) {
    chain.was_written = true;
    written_.push_back(id);
  }
}

void Outbox::hand_over(net::Packet& packet, WorkerId to, HandoffStage stage) noexcept {
  const Handoff entry{&packet, snapshot_->generation, stage};
  wake_mask_ |= 1u << to;
  if (rings_.push(self_, to, {&entry, 1}) == 1) return;
  net::Packet* const refused = &packet;
  drop({&refused, 1}, net::Drop::kHandoffRingFull);
}

void Outbox::drop(std::span<net::Packet* const> packets, net::Drop reason) noexcept {
  if (packets.empty()) return;
  for (const net::Packet* packet : packets) {
    counters_.row_of(packet->in_port).drops[static_cast<std::size_t>(reason)].add(1);
    tap_.note_drop(*packet, reason, HandoffStage::kForwarded);
  }
  pool_.release(packets);
}

}  // namespace millrace::datapath
