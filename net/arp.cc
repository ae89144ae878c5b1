#include "net/arp.h"

#include "net/ip_header.h"

namespace millrace::net {
namespace {

bool is_unicast(Ipv4 address) noexcept {
  return !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast();
}

}  // namespace

const ArpPacket& arp(const Packet& packet) noexcept {
  return view<ArpPacket>(static_cast<const std::uint8_t*>(packet.data) + packet.headers.l3_offset);
}

bool is_answerable_arp_request(const Packet& packet) noexcept {
  if (packet.headers.l3 != L3::kArp) return false;
  const ArpPacket& request = arp(packet);
  const Mac& frame_source = ethernet(packet).source;
  return request.operation == Be16(ArpPacket::kRequest) && !frame_source.is_multicast() &&
         request.sender_mac == frame_source && is_unicast(request.target_ip) &&
         request.sender_ip != request.target_ip;  // an announcement (RFC 5227 2.3) asks nothing
}

bool make_arp_reply(Packet& packet, const Mac& own) noexcept {
  if (!is_answerable_arp_request(packet)) return false;
  auto& message = view<ArpPacket>(packet.data + packet.headers.l3_offset);
  const Ipv4 asker_ip = message.sender_ip;
  message.operation = Be16(ArpPacket::kReply);
  message.target_mac = message.sender_mac;
  message.sender_ip = message.target_ip;
  message.sender_mac = own;
  message.target_ip = asker_ip;
  set_macs(packet, message.target_mac, own);
  return true;
}

}  // namespace millrace::net
