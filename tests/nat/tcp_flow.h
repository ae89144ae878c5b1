/// TcpFlow: a flow's two lines side by side, as in a table, and TCP packets that go along them.
#pragma once

#include <cstdint>

#include "nat/tcp_state.h"
#include "tests/net/packet_builder.h"

namespace millrace::tests {

/// The sender of the flow's first packet, and who answers.
enum class Side : std::uint8_t { kClient, kServer };

class TcpFlow {
 public:
  TcpFlow() { lines_[1].flags = nat::line_flag::kReply; }

  /// Parsed, ready for the functions of tcp_state.h.
  static TestPacket packet(Side side, std::uint8_t flags, std::uint32_t sequence, std::uint32_t ack,
                           std::size_t payload_bytes) {
    PacketBuilder builder = side == Side::kClient ? eth().ipv4("10.0.0.1", "10.0.0.2").tcp(4000, 80, flags)
                                                  : eth().ipv4("10.0.0.2", "10.0.0.1").tcp(80, 4000, flags);
    TestPacket made(builder.sequence(sequence, ack).payload(payload_bytes).bytes());
    made.parse();
    return made;
  }

  /// As the datapath does: the fast path first. The first packet begins the flow.
  nat::TcpState send(Side side, std::uint8_t flags, std::uint32_t sequence, std::uint32_t ack = 0,
                     std::size_t payload_bytes = 0) {
    TestPacket made = packet(side, flags, sequence, ack, payload_bytes);
    nat::FlowLineV4& line = this->line(side);
    if (is_new_ || !nat::note_tcp_data(line, timer_, *made)) {
      const bool picked_up = is_new_ && nat::tcp_start(*made) == nat::TcpStart::kPickUp;
      timer_ = nat::note_tcp(line, *made, picked_up);
    }
    is_new_ = false;
    return state();
  }

  nat::TcpState state() const { return nat::tcp_state(lines_[0]); }
  nat::FlowTimer timer() const { return timer_; }
  nat::FlowLineV4& line(Side side) { return lines_[static_cast<unsigned>(side)]; }

 private:
  nat::FlowLineV4 lines_[2];
  nat::FlowTimer timer_ = nat::FlowTimer::kFree;
  bool is_new_ = true;
};

}  // namespace millrace::tests
