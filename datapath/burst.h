/// Burst: packets that pass the stages of the pipeline together.
///
/// Shape:   a stage is a function of one packet, run over the live ones; what it drops leaves the burst with its
///          reason, and so does what it sent elsewhere by itself.
/// Thread:  the worker.
#pragma once

#include <array>

#include "datapath/port.h"
#include "net/drop.h"
#include "net/packet.h"

namespace millrace::datapath {

/// The packets of a burst that are still on their way, and those that are not.
struct Burst {
  std::array<net::Packet*, kBurst> live;
  std::array<net::Packet*, kBurst> dropped;
  unsigned live_count = 0;
  unsigned dropped_count = 0;

  void drop(net::Packet& packet, net::Drop reason) noexcept {
    packet.drop = reason;
    dropped[dropped_count++] = &packet;
  }
};

/// Runs `stage` over the live packets; those it drops leave the burst, and so do those it sent elsewhere by itself.
enum class Then : std::uint8_t { kNextStage, kIsGone };
struct Verdict {
  net::Drop drop = net::Drop::kNone;
  Then then = Then::kNextStage;
};

template <typename Stage>
[[gnu::always_inline]] inline void for_live(Burst& burst, Stage stage) noexcept {
  const unsigned count = burst.live_count;
  unsigned kept = 0;
  for (unsigned i = 0; i < count; ++i) {
    net::Packet* const packet = burst.live[i];
    const Verdict verdict = stage(*packet);
    if (verdict.drop != net::Drop::kNone) [[unlikely]] {
      burst.drop(*packet, verdict.drop);
    } else if (verdict.then == Then::kNextStage) [[likely]] {
      burst.live[kept++] = packet;
    }
  }
  burst.live_count = kept;
}

}  // namespace millrace::datapath
