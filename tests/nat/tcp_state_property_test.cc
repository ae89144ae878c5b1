// Random connections between two ends that obey RFC 9293, with packets sent twice and resets nobody would take in
// between: whatever they do, the flow is established while they are, and closed when they are.

#include <gtest/gtest.h>

#include <random>

#include "tests/nat/tcp_flow.h"

namespace millrace::tests {
namespace {

using namespace net;
using namespace nat;

struct End {
  std::uint32_t next = 0;      // the number of the next byte it sends
  std::uint32_t expected = 0;  // of the next byte it takes
  bool is_closed = false;      // its FIN was sent
};

class RandomConnection {
 public:
  explicit RandomConnection(std::uint32_t seed) : random_(seed) {}

  void open() {
    ends_[0].next = static_cast<std::uint32_t>(random_());
    ends_[1].next = static_cast<std::uint32_t>(random_());
    if (random_() % 4 == 0) {  // simultaneous
      send(Side::kClient, TcpHeader::kSyn);
      send(Side::kServer, TcpHeader::kSyn);
      take_syns();
      --ends_[0].next, --ends_[1].next;
      send(Side::kServer, TcpHeader::kSyn | TcpHeader::kAck);
      send(Side::kClient, TcpHeader::kSyn | TcpHeader::kAck);
      ++ends_[0].next, ++ends_[1].next;
      return;
    }
    send(Side::kClient, TcpHeader::kSyn);
    ends_[1].expected = ++ends_[0].next;
    send(Side::kServer, TcpHeader::kSyn | TcpHeader::kAck);
    ends_[0].expected = ++ends_[1].next;
    send(Side::kClient, TcpHeader::kAck);
  }

  void data(Side side) {
    if (of(side).is_closed) return acknowledge(side);
    const std::size_t bytes = random_() % 1400;
    send(side, TcpHeader::kAck | TcpHeader::kPsh, bytes);
    of(side).next += static_cast<std::uint32_t>(bytes);
  }

  void acknowledge(Side side) {
    of(side).expected = of(other(side)).next;
    send(side, TcpHeader::kAck);
  }

  void close(Side side) {
    send(side, TcpHeader::kFin | TcpHeader::kAck);
    ++of(side).next;
    of(side).is_closed = true;
  }

  /// Outside of what the other side could take: in front of what it has acknowledged, or behind what was sent.
  void bad_reset(Side side) {
    const std::uint32_t low = of(other(side)).expected, in_flight = of(side).next - low;
    const auto outside = static_cast<std::uint32_t>(random_() % (0xfffffffeu - in_flight));
    flow.send(side, random_() % 2 == 0 ? TcpHeader::kRst : TcpHeader::kRst | TcpHeader::kAck,
              of(side).next + 1 + outside, static_cast<std::uint32_t>(random_()));
  }

  void good_reset(Side side) { flow.send(side, TcpHeader::kRst, of(side).next, 0); }

  Side any_side() { return random_() % 2 == 0 ? Side::kClient : Side::kServer; }
  unsigned number(unsigned below) { return static_cast<unsigned>(random_() % below); }

  TcpFlow flow;

 private:
  static Side other(Side side) { return side == Side::kClient ? Side::kServer : Side::kClient; }
  End& of(Side side) { return ends_[static_cast<unsigned>(side)]; }
  void take_syns() {
    ends_[1].expected = ++ends_[0].next;
    ends_[0].expected = ++ends_[1].next;
  }
  void send(Side side, int flags, std::size_t bytes = 0) {
    const auto bits = static_cast<std::uint8_t>(flags);
    flow.send(side, bits, of(side).next, of(side).expected, bytes);
    if (random_() % 5 == 0) flow.send(side, bits, of(side).next, of(side).expected, bytes);  // once more
  }

  std::mt19937 random_;
  End ends_[2];
};

constexpr unsigned kConnections = 1500;

TEST(TcpStateProperty, EstablishedIsLeftByFinAndGoodResetOnlyAndBothLeadToClosed) {
  for (unsigned seed = 0; seed < kConnections; ++seed) {
    RandomConnection connection(seed);
    connection.open();
    ASSERT_EQ(connection.flow.timer(), FlowTimer::kTcpEstablished) << "seed " << seed;
    for (unsigned steps = connection.number(30); steps > 0; --steps) {
      const Side side = connection.any_side();
      switch (connection.number(3)) {
        case 0: connection.data(side); break;
        case 1: connection.acknowledge(side); break;
        default: connection.bad_reset(side); break;
      }
      ASSERT_EQ(connection.flow.state(), TcpState::kEstablished) << "seed " << seed;
      ASSERT_EQ(connection.flow.timer(), FlowTimer::kTcpEstablished) << "seed " << seed;
    }
    const Side first = connection.any_side();
    const Side second = first == Side::kClient ? Side::kServer : Side::kClient;
    if (connection.number(4) == 0) {
      connection.good_reset(first);
    } else {
      connection.close(first);
      for (unsigned steps = connection.number(5); steps > 0; --steps) {
        connection.data(second);
        connection.acknowledge(connection.any_side());
        connection.bad_reset(connection.any_side());
        ASSERT_EQ(connection.flow.timer(), FlowTimer::kTcpClosing) << "seed " << seed;
      }
      connection.close(second);
      ASSERT_EQ(connection.flow.timer(), FlowTimer::kTcpClosing) << "seed " << seed;
      connection.acknowledge(first);
      connection.acknowledge(second);
    }
    ASSERT_EQ(connection.flow.timer(), FlowTimer::kTcpClosed) << "seed " << seed;
  }
}

}  // namespace
}  // namespace millrace::tests
