#include "datapath/track.h"

#include <array>

#include "datapath/begin_flow.h"
#include "datapath/foresee_flow.h"
#include "datapath/forward.h"
#include "datapath/renew_flow.h"
#include "datapath/tunnel_in.h"
#include "nat/sctp_state.h"
#include "nat/tcp_state.h"
#include "nat/translate.h"
#include "net/icmp.h"
#include "net/ip_header.h"

namespace millrace::datapath {
namespace {

using net::Drop;
namespace flag = nat::line_flag;
namespace ip_protocol = net::ip_protocol;

const net::Ipv4Header& header(const net::Packet& packet, const nat::FlowLineV4*) noexcept { return net::ipv4(packet); }
const net::Ipv6Header& header(const net::Packet& packet, const nat::FlowLineV6*) noexcept { return net::ipv6(packet); }
bool may_fragment(const net::Ipv4Header& ip) noexcept { return !ip.dont_fragment(); }
bool may_fragment(const net::Ipv6Header&) noexcept { return false; }

auto quoted_tuple(const net::Packet& packet, const nat::FlowLineV4*) noexcept { return nat::quoted_tuple_v4(packet); }
auto quoted_tuple(const net::Packet& packet, const nat::FlowLineV6*) noexcept { return nat::quoted_tuple_v6(packet); }

/// The packets of one family in a burst, with their lines.
template <typename Line>
struct Lookup {
  Lookup() noexcept {}  // clears nothing for packets that there are not
  union {
    std::array<typename Line::Key, kBurst> keys;
  };
  std::array<Line*, kBurst> lines;
  std::array<std::uint16_t, kBurst> index;  // in the burst
  unsigned count = 0;
};

/// What a hop asks of a packet whose way out is known; the packet is not changed.
template <typename Line>
Drop check_hop(const net::Packet& packet, const Line& line, const Snapshot& snapshot) noexcept {
  if (packet.headers.ttl <= 1) [[unlikely]]
    return Drop::kTtlExceeded;
  const PortEntry& out = snapshot.ports[line.out_port];
  if (needs_fragments(packet, out)) [[unlikely]] {
    if (!can_leave(out)) return Drop::kTunnelUnresolved;
    if (!may_fragment(header(packet, &line))) return Drop::kPacketTooBig;
  }
  return net::ethernet(packet).destination.is_multicast() ? Drop::kMulticast : Drop::kNone;
}

/// Notes what the packet says of its connection. False: it begins a new one on the same tuple.
template <typename Line, typename Table>
[[gnu::always_inline]] inline bool note(Table& table, Line& line, const net::Packet& packet, nat::TickMs now) noexcept {
  switch (line.key.protocol) {
    case ip_protocol::kTcp:
      if (!packet.headers.has_l4) break;
      // A steady TCP flow is an established one: its timer need not be read.
      if (!line.is_steady() || !nat::note_tcp_data(line, nat::FlowTimer::kTcpEstablished, packet)) [[unlikely]] {
        if (nat::begins_again(line, packet)) return false;
        table.set_timer(line, nat::note_tcp(line, packet, false), now);
      }
      break;
    case ip_protocol::kUdp:
      if (line.is_reply() && (line.flags & flag::kSeen) == 0) [[unlikely]]
        table.set_timer(line, nat::FlowTimer::kUdpStream, now);
      break;
    case ip_protocol::kSctp:
      if (packet.headers.has_l4) table.set_timer(line, nat::note_sctp(line, table.timer(line), packet), now);
      break;
    default: break;
  }
  return true;
}

/// One burst, or the part of it of one family.
template <typename Line>
class Tracker {
 public:
  Tracker(Turn& turn, HandoffStage stage)
      : turn_(turn), stage_(stage), now_(turn.now_ms()), table_(turn.flows.table(static_cast<const Line*>(nullptr))) {}

  void run(Lookup<Line>& lookup, std::span<net::Packet* const> packets, std::span<Tracked> results) noexcept {
    table_.find({lookup.keys.data(), lookup.count}, {lookup.lines.data(), lookup.count});
    // A flow that this burst goes on with is not given up for one that it begins.
    unsigned missing = 0;
    for (unsigned i = 0; i < lookup.count; ++i) {
      if (lookup.lines[i] != nullptr) [[likely]] {
        table_.touch(*lookup.lines[i], now_);
        // To be renewed: that reads the original line, which may be the other of the pair.
        if (lookup.lines[i]->epoch != turn_.snapshot.epoch) [[unlikely]]
          __builtin_prefetch(&lookup.lines[i]->partner());
      } else {
        ++missing;
      }
    }
    if (missing > 1 && stage_ == HandoffStage::kArrived) [[unlikely]]
      foresee(lookup, packets);
    for (unsigned i = 0; i < lookup.count; ++i) {
      const unsigned at = lookup.index[i];
      results[at] = one(*packets[at], lookup.keys[i], lookup.lines[i]);
    }
  }

 private:
  [[gnu::noinline]] void foresee(const Lookup<Line>& lookup, std::span<net::Packet* const> packets) noexcept {
    std::array<typename Line::Key, kBurst> keys;
    std::array<const net::Packet*, kBurst> first;
    unsigned count = 0;
    for (unsigned i = 0; i < lookup.count; ++i) {
      if (lookup.lines[i] != nullptr) continue;
      keys[count] = lookup.keys[i];
      first[count++] = packets[lookup.index[i]];
    }
    foresee_flows(turn_, {first.data(), count}, {keys.data(), count});
  }

  Tracked one(net::Packet& packet, const typename Line::Key& key, Line* line) noexcept {
    // Flows of this burst have begun or ended since the lookup: what it found may be old.
    if (is_stale_) [[unlikely]]
      line = table_.find(key);
    if (line != nullptr) [[likely]] {
      const Tracked tracked = follow(packet, *line);
      if (tracked.drop != kAnew) [[likely]]
        return tracked;
      end(*line);
    }
    const Tracked tracked = begin(packet, key);
    return tracked.drop == Drop::kNoFlow ? give_back(packet, key) : tracked;
  }

  /// What an uplink's filter took for a masquerade port and no flow wants is the node's own (an answer to its ping,
  /// whose identifier lies in the range; a server that listens there): it goes on to the node, as if it had not been
  /// taken.
  Tracked give_back(net::Packet& packet, const typename Line::Key& key) noexcept {
    const Snapshot& snapshot = turn_.snapshot;
    const net::PortId out = from_uplink(packet) ? snapshot.routes.lookup(key.destination) : net::kNoPort;
    if (out == net::kNoPort || snapshot.ports[out].kind != PortKind::kHost) return {Drop::kNoFlow};
    packet.out_port = out;
    return {Drop::kNone, turn_.self};  // complete: whose port it is sends it as it is
  }

  /// A packet of a flow that is there. kAnew: the flow is over, and this is the first packet of another.
  [[gnu::always_inline]] inline Tracked follow(net::Packet& packet, Line& line) noexcept {
    if (line.epoch != turn_.snapshot.epoch) [[unlikely]] {
      const Drop drop = renew_line(turn_, line);
      if (drop == Drop::kPortGone && !line.is_reply()) return {kAnew};
      if (drop == Drop::kPortGone) end(line);  // what it answers was another pod's question
      if (drop != Drop::kNone) return refuse(packet, drop);
    }
    const bool is_hop = stage_ == HandoffStage::kArrived;
    if (is_hop) {
      if (const Drop drop = check_hop(packet, line, turn_.snapshot); drop != Drop::kNone) [[unlikely]] {
        if (drop == Drop::kPacketTooBig) packet.out_port = line.out_port;  // its MTU is reported
        return {drop};
      }
    }
    if (!note(table_, line, packet, now_)) [[unlikely]]
      return {kAnew};
    line.flags |= flag::kSeen;
    line.packets += 1;
    line.bytes += packet.headers.l3_length;
    packet.out_port = line.out_port;
    packet.is_reply = line.is_reply();
    if (is_hop) net::decrement_ttl(packet);
    if (line.translates()) {
      nat::mark_partial(packet);
      if (!nat::translate(packet, line)) return {Drop::kMasqueradeProtocol};
    }
    return {Drop::kNone, line.worker};
  }

  /// A drop that may be policy's: then the packet says whose.
  Tracked refuse(net::Packet& packet, Drop drop) noexcept {
    if (turn_.denied_by != net::kNoPort) packet.out_port = turn_.denied_by;
    turn_.denied_by = net::kNoPort;
    return {drop};
  }

  void end(Line& line) noexcept {
    table_.erase(line);
    is_stale_ = true;
  }

  Tracked begin(net::Packet& packet, const typename Line::Key& key) noexcept {
    if (const auto quoted = quoted_tuple(packet, static_cast<const Line*>(nullptr))) return relate(packet, *quoted);
    if (net::is_icmp_error(packet)) return {Drop::kNoFlow};
    Line* line = nullptr;
    const Drop drop = stage_ == HandoffStage::kArrived ? begin_flow(turn_, packet, key, line)
                                                       : begin_forwarded(turn_, packet, key, line);
    if (drop != Drop::kNone) return refuse(packet, drop);
    if (line == nullptr) return {Drop::kNone, turn_.self};
    is_stale_ = true;
    const Tracked tracked = follow(packet, *line);
    // Nothing went this way yet: a packet that cannot go on leaves no flow behind.
    if (tracked.drop != Drop::kNone) table_.erase(*line);
    return tracked;
  }

  bool from_uplink(const net::Packet& packet) const noexcept {
    return stage_ == HandoffStage::kArrived && turn_.snapshot.ports[packet.in_port].kind == PortKind::kUplink;
  }

  /// An ICMP error goes the way of the flow whose packet it quotes (RFC 5508 section 4).
  Tracked relate(net::Packet& packet, const typename Line::Key& quoted) noexcept {
    Line* const line = table_.find(quoted.reversed());
    if (line == nullptr) {
      const bool leaves = stage_ == HandoffStage::kForwarded && packet.out_port != net::kNoPort &&
                          turn_.snapshot.ports[packet.out_port].kind != PortKind::kPod &&
                          // Quotes what a masquerade made: nobody out there has sent it.
                          !turn_.snapshot.nat.holds(quoted.source, quoted.source_port);
      return leaves ? Tracked{Drop::kNone, turn_.self} : Tracked{Drop::kNoFlow};
    }
    if (line->epoch != turn_.snapshot.epoch) {
      if (const Drop drop = renew_line(turn_, *line); drop != Drop::kNone) return {Drop::kNoFlow};
    }
    if (from_uplink(packet) && !is_credible(turn_.snapshot, packet, quoted.destination)) return {Drop::kTunnelSource};
    if (stage_ == HandoffStage::kArrived) {
      if (packet.headers.ttl <= 1) return {Drop::kTtlExceeded};
      net::decrement_ttl(packet);
    }
    nat::translate_icmp_error(packet, *line);
    packet.out_port = line->out_port;
    return {Drop::kNone, line->worker};
  }

  /// No packet is dropped for this: it stands for "begin again".
  static constexpr Drop kAnew = static_cast<Drop>(net::kDropCount);

  Turn& turn_;
  const HandoffStage stage_;
  const nat::TickMs now_;
  nat::FlowTable<Line>& table_;
  bool is_stale_ = false;
};

}  // namespace

void track(Turn& turn, std::span<net::Packet* const> packets, HandoffStage stage, std::span<Tracked> results) noexcept {
  Lookup<nat::FlowLineV4> v4;
  Lookup<nat::FlowLineV6> v6;
  unsigned v4_count = 0, v6_count = 0;  // in registers: each key's place waits for them
  for (unsigned i = 0; i < packets.size(); ++i) {
    const net::Packet& packet = *packets[i];
    if (packet.headers.l3 == net::L3::kIpv4) [[likely]] {
      v4.index[v4_count] = static_cast<std::uint16_t>(i);
      v4.keys[v4_count++].read(packet);
    } else {
      v6.index[v6_count] = static_cast<std::uint16_t>(i);
      v6.keys[v6_count++].read(packet);
    }
  }
  v4.count = v4_count;
  v6.count = v6_count;
  if (v4.count > 0) [[likely]]
    Tracker<nat::FlowLineV4>(turn, stage).run(v4, packets, results);
  if (v6.count > 0) Tracker<nat::FlowLineV6>(turn, stage).run(v6, packets, results);
}

}  // namespace millrace::datapath
