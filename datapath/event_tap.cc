#include "datapath/event_tap.h"

#include "net/ip_header.h"

namespace millrace::datapath {

PacketEnds ends_of(const net::Packet& packet) noexcept {
  PacketEnds ends;
  if (packet.headers.l3 == net::L3::kIpv4) {
    ends.source = net::IpAddress::from(net::ipv4(packet).source);
    ends.destination = net::IpAddress::from(net::ipv4(packet).destination);
  } else {
    ends.source = net::IpAddress::from(net::ipv6(packet).source);
    ends.destination = net::IpAddress::from(net::ipv6(packet).destination);
  }
  ends.source_port = packet.headers.source_port;
  ends.destination_port = packet.headers.destination_port;
  return ends;
}

void EventTap::watch_drops(bool is_wanted) noexcept {
  wants_drops_.store(is_wanted, std::memory_order_relaxed);
  open_or_close();
}

void EventTap::watch_port(net::PortId port, bool is_wanted) noexcept {
  const std::uint64_t bit = std::uint64_t{1} << (port % 64);
  std::atomic<std::uint64_t>& word = traced_[port / 64];
  const std::uint64_t before = is_wanted ? word.fetch_or(bit) : word.fetch_and(~bit);
  if (((before & bit) != 0) != is_wanted) {
    if (is_wanted) {
      traced_count_.fetch_add(1);
    } else {
      traced_count_.fetch_sub(1);
    }
  }
  open_or_close();
}

void EventTap::open_or_close() noexcept {
  is_open_.store(wants_drops_.load() || traced_count_.load() != 0, std::memory_order_relaxed);
}

PacketEvent EventTap::event_of(const net::Packet& packet, HandoffStage stage) const noexcept {
  PacketEvent event;
  event.time_ns = now_ns_;
  event.generation = generation_;
  event.length_bytes = packet.length_bytes;
  event.in_port = packet.in_port;
  event.out_port = packet.out_port;
  event.tunnel = packet.tunnel;
  event.worker = self_;
  event.stage = stage;
  event.l3 = packet.headers.l3;
  event.protocol = packet.headers.l4_protocol;
  event.icmp_type = packet.headers.icmp_type;
  event.is_reply = packet.is_reply;
  return event;
}

void EventTap::put_drop(const net::Packet& packet, net::Drop reason, HandoffStage stage) noexcept {
  const bool is_wanted = wants_drops_.load(std::memory_order_relaxed) || traces(packet.in_port) ||
                         traces(packet.out_port) || traces(packet.tunnel);
  if (!is_wanted) return;
  PacketEvent event = event_of(packet, stage);
  event.drop = reason;
  // What the parser refused may end before its addresses do.
  const bool has_addresses = !net::is_parser_drop(reason) && (event.l3 == net::L3::kIpv4 || event.l3 == net::L3::kIpv6);
  if (has_addresses) {
    event.arrived = ends_of(packet);
  } else {
    event.l3 = net::L3::kNone;
  }
  put(event);
}

void EventTap::note_passage(const net::Packet& packet, const PacketEnds& arrived, WorkerId next,
                            HandoffStage stage) noexcept {
  if (!traces(packet.in_port) && !traces(packet.out_port) && !traces(packet.tunnel)) return;
  PacketEvent event = event_of(packet, stage);
  event.arrived = arrived;
  event.left = ends_of(packet);
  event.next = next;
  put(event);
}

}  // namespace millrace::datapath
