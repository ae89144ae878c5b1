#include "tests/net/packet_builder.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <numeric>

#include "net/checksum.h"
#include "net/parser.h"

namespace millrace::tests {
namespace {

using namespace net;

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "packet builder: %s\n", why.c_str());
  std::abort();
}

template <typename T>
T parsed(std::string_view text) {
  auto result = T::parse(text);
  if (!result) fail(result.error().message);
  return *result;
}

template <typename T>
Bytes to_bytes(const T& header) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(&header);
  return {begin, begin + sizeof header};
}

void append(Bytes& bytes, const Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

}  // namespace

Mac mac(std::string_view text) { return parsed<Mac>(text); }
Ipv4 v4(std::string_view text) { return parsed<Ipv4>(text); }
Ipv6 v6(std::string_view text) { return parsed<Ipv6>(text); }

template <typename T>
PacketBuilder& PacketBuilder::add(Kind kind, const T& header, std::uint8_t protocol, Be16 ether_type) {
  layers_.push_back({.kind = kind, .header = to_bytes(header), .protocol = protocol, .ether_type = ether_type});
  return *this;
}

template <typename T>
T& PacketBuilder::last(std::initializer_list<Kind> kinds) {
  const auto kind = layers_.back().kind;
  if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) fail("the last header has no such field");
  return view<T>(layers_.back().header.data());
}

PacketBuilder eth(std::string_view source, std::string_view destination) {
  PacketBuilder builder;
  return builder.add(PacketBuilder::Kind::kEthernet,
                     EthernetHeader{.destination = mac(destination), .source = mac(source), .type = Be16(0x88b5)});
}

PacketBuilder& PacketBuilder::vlan(std::uint16_t id, Be16 tag_type) {
  return add(Kind::kVlan, VlanTag{.control = Be16(id), .type = Be16(0x88b5)}, 0, tag_type);
}

PacketBuilder& PacketBuilder::arp(std::uint16_t operation, std::string_view sender_mac, std::string_view sender_ip,
                                  std::string_view target_mac, std::string_view target_ip) {
  return add(Kind::kArp,
             ArpPacket{.hardware_type = Be16(ArpPacket::kHardwareEthernet),
                       .protocol_type = ether_type::kIpv4,
                       .hardware_length = 6,
                       .protocol_length = 4,
                       .operation = Be16(operation),
                       .sender_mac = mac(sender_mac),
                       .sender_ip = v4(sender_ip),
                       .target_mac = mac(target_mac),
                       .target_ip = v4(target_ip)},
             0, ether_type::kArp);
}

PacketBuilder& PacketBuilder::ipv4(std::string_view source, std::string_view destination) {
  return add(Kind::kIpv4,
             Ipv4Header{.version_ihl = 0x45,
                        .tos = 0,
                        .total_length = {},
                        .id = {},
                        .flags_offset = {},
                        .ttl = 64,
                        .protocol = 253,  // RFC 3692: for experiments
                        .checksum = {},
                        .source = v4(source),
                        .destination = v4(destination)},
             4, ether_type::kIpv4);
}

PacketBuilder& PacketBuilder::ipv6(std::string_view source, std::string_view destination) {
  return add(Kind::kIpv6,
             Ipv6Header{.version_class_flow = Be32(6u << 28),
                        .payload_length = {},
                        .next_header = 253,
                        .hop_limit = 64,
                        .source = v6(source),
                        .destination = v6(destination)},
             41, ether_type::kIpv6);
}

PacketBuilder& PacketBuilder::extension(std::uint8_t kind, std::size_t bytes) {
  Bytes header(bytes, 0);
  header[0] = ipv6_next_header::kNone;
  const bool is_ah = kind == ipv6_next_header::kAuthentication;
  header[1] = static_cast<std::uint8_t>(is_ah ? bytes / 4 - 2 : bytes / 8 - 1);
  layers_.push_back({.kind = Kind::kExtension, .header = std::move(header), .protocol = kind, .ether_type = {}});
  return *this;
}

PacketBuilder& PacketBuilder::ipv6_fragment(std::uint32_t offset_bytes, bool more, std::uint32_t id) {
  return add(Kind::kFragment,
             Ipv6FragmentHeader{.next_header = 253,
                                .reserved = 0,
                                .offset_flags = Be16(static_cast<std::uint16_t>(offset_bytes | (more ? 1 : 0))),
                                .id = Be32(id)},
             ipv6_next_header::kFragment);
}

PacketBuilder& PacketBuilder::udp(std::uint16_t source_port, std::uint16_t destination_port) {
  return add(
      Kind::kUdp,
      UdpHeader{
          .source_port = Be16(source_port), .destination_port = Be16(destination_port), .length = {}, .checksum = {}},
      ip_protocol::kUdp);
}

PacketBuilder& PacketBuilder::tcp(std::uint16_t source_port, std::uint16_t destination_port, std::uint8_t flags) {
  return add(Kind::kTcp,
             TcpHeader{.source_port = Be16(source_port),
                       .destination_port = Be16(destination_port),
                       .sequence = Be32(0x01020304),
                       .acknowledgment = Be32(0x05060708),
                       .data_offset = 0x50,
                       .flags = flags,
                       .window = Be16(0x2000),
                       .checksum = {},
                       .urgent = {}},
             ip_protocol::kTcp);
}

PacketBuilder& PacketBuilder::sctp(std::uint16_t source_port, std::uint16_t destination_port) {
  return add(Kind::kSctp,
             SctpHeader{.source_port = Be16(source_port),
                        .destination_port = Be16(destination_port),
                        .verification_tag = Be32(0x11223344),
                        .checksum = {}},
             ip_protocol::kSctp);
}

PacketBuilder& PacketBuilder::icmp(std::uint8_t type, std::uint8_t code, std::uint16_t identifier,
                                   std::uint16_t sequence) {
  return add(
      Kind::kIcmp,
      IcmpHeader{
          .type = type, .code = code, .checksum = {}, .identifier = Be16(identifier), .sequence = Be16(sequence)},
      ip_protocol::kIcmp);
}

PacketBuilder& PacketBuilder::icmpv6(std::uint8_t type, std::uint8_t code, std::uint16_t identifier,
                                     std::uint16_t sequence) {
  return add(
      Kind::kIcmpv6,
      IcmpHeader{
          .type = type, .code = code, .checksum = {}, .identifier = Be16(identifier), .sequence = Be16(sequence)},
      ip_protocol::kIcmpv6);
}

PacketBuilder& PacketBuilder::neighbor_solicitation(std::string_view target, std::string_view source_mac) {
  add(Kind::kIcmpv6,
      NeighborMessage{
          .type = icmpv6_type::kNeighborSolicitation, .code = 0, .checksum = {}, .flags = {}, .target = v6(target)},
      ip_protocol::kIcmpv6);
  if (source_mac.empty()) return *this;
  const LinkLayerOption option{.type = LinkLayerOption::kSource, .length_units = 1, .mac = mac(source_mac)};
  return payload(to_bytes(option));
}

PacketBuilder& PacketBuilder::payload(std::string_view text) { return payload(Bytes(text.begin(), text.end())); }

PacketBuilder& PacketBuilder::payload(Bytes content) {
  layers_.push_back({.kind = Kind::kPayload, .header = std::move(content), .protocol = 0, .ether_type = {}});
  return *this;
}

PacketBuilder& PacketBuilder::payload(std::size_t count) {
  Bytes content(count);
  std::iota(content.begin(), content.end(), std::uint8_t{0});
  return payload(std::move(content));
}

PacketBuilder& PacketBuilder::ttl(std::uint8_t ttl) {
  if (layers_.back().kind == Kind::kIpv6) {
    last<Ipv6Header>({Kind::kIpv6}).hop_limit = ttl;
  } else {
    last<Ipv4Header>({Kind::kIpv4}).ttl = ttl;
  }
  return *this;
}

PacketBuilder& PacketBuilder::protocol(std::uint8_t protocol) {
  if (layers_.back().kind == Kind::kIpv6) {
    last<Ipv6Header>({Kind::kIpv6}).next_header = protocol;
  } else {
    last<Ipv4Header>({Kind::kIpv4}).protocol = protocol;
  }
  layers_.back().fixed_protocol = true;
  return *this;
}

PacketBuilder& PacketBuilder::dont_fragment() {
  auto& field = last<Ipv4Header>({Kind::kIpv4}).flags_offset;
  field = Be16(static_cast<std::uint16_t>(field.host() | Ipv4Header::kDontFragment));
  return *this;
}

PacketBuilder& PacketBuilder::fragment(std::uint32_t offset_bytes, bool more, std::uint16_t id) {
  auto& ip = last<Ipv4Header>({Kind::kIpv4});
  ip.id = Be16(id);
  ip.flags_offset = Be16(static_cast<std::uint16_t>(offset_bytes / 8 | (more ? Ipv4Header::kMoreFragments : 0)));
  return *this;
}

PacketBuilder& PacketBuilder::sequence(std::uint32_t sequence, std::uint32_t acknowledgment) {
  auto& tcp = last<TcpHeader>({Kind::kTcp});
  tcp.sequence = Be32(sequence);
  tcp.acknowledgment = Be32(acknowledgment);
  return *this;
}

PacketBuilder& PacketBuilder::options(Bytes options) {
  options.resize((options.size() + 3) / 4 * 4, 0);
  append(layers_.back().header, options);
  const std::size_t words = layers_.back().header.size() / 4;
  if (layers_.back().kind == Kind::kTcp) {
    last<TcpHeader>({Kind::kTcp}).data_offset = static_cast<std::uint8_t>(words << 4);
  } else {
    last<Ipv4Header>({Kind::kIpv4}).version_ihl = static_cast<std::uint8_t>(0x40 | words);
  }
  return *this;
}

PacketBuilder& PacketBuilder::partial_checksum() {
  last<Be16>({Kind::kUdp, Kind::kTcp, Kind::kSctp});
  layers_.back().checksum = Checksum::kPartial;
  return *this;
}

PacketBuilder& PacketBuilder::no_checksum() {
  last<Be16>({Kind::kUdp});
  layers_.back().checksum = Checksum::kNone;
  return *this;
}

/// Writes into `layer` by what number the header behind it is known.
void PacketBuilder::link(std::size_t index, Layer& layer) const {
  if (index + 1 == layers_.size() || layers_[index + 1].kind == Kind::kPayload || layer.fixed_protocol) return;
  const Layer& behind = layers_[index + 1];
  std::uint8_t* header = layer.header.data();
  switch (layer.kind) {
    case Kind::kEthernet: view<EthernetHeader>(header).type = behind.ether_type; break;
    case Kind::kVlan: view<VlanTag>(header).type = behind.ether_type; break;
    case Kind::kIpv4: view<Ipv4Header>(header).protocol = behind.protocol; break;
    case Kind::kIpv6: view<Ipv6Header>(header).next_header = behind.protocol; break;
    case Kind::kExtension:
    case Kind::kFragment: header[0] = behind.protocol; break;
    default: break;
  }
}

void PacketBuilder::finish_ipv4(Layer& layer, std::size_t tail_bytes) {
  auto& ip = view<Ipv4Header>(layer.header.data());
  ip.total_length = Be16(static_cast<std::uint16_t>(layer.header.size() + tail_bytes));
  set_ipv4_checksum(ip);
}

/// Length and checksum of the L4 header that `l4` (header and all behind it) starts with.
void PacketBuilder::finish_l4(std::size_t index, Bytes& l4) const {
  const Layer& layer = layers_[index];
  std::size_t ip_index = index;
  while (ip_index > 0 && layers_[ip_index].kind != Kind::kIpv4 && layers_[ip_index].kind != Kind::kIpv6) --ip_index;
  const std::uint8_t* ip = layers_[ip_index].header.data();
  const Sum pseudo = layers_[ip_index].kind == Kind::kIpv6
                         ? pseudo_header_sum(view<Ipv6Header>(ip).source, view<Ipv6Header>(ip).destination,
                                             layer.protocol, static_cast<std::uint32_t>(l4.size()))
                         : pseudo_header_sum(view<Ipv4Header>(ip).source, view<Ipv4Header>(ip).destination,
                                             layer.protocol, static_cast<std::uint16_t>(l4.size()));
  if (layer.kind == Kind::kUdp) view<UdpHeader>(l4.data()).length = Be16(static_cast<std::uint16_t>(l4.size()));
  if (layer.checksum == Checksum::kNone) return;
  if (layer.kind == Kind::kSctp) {
    if (layer.checksum == Checksum::kFull) view<SctpHeader>(l4.data()).checksum = sctp_checksum(l4);
    return;
  }
  Be16& field = layer.kind == Kind::kUdp   ? view<UdpHeader>(l4.data()).checksum
                : layer.kind == Kind::kTcp ? view<TcpHeader>(l4.data()).checksum
                                           : view<IcmpHeader>(l4.data()).checksum;
  if (layer.checksum == Checksum::kPartial) {
    field = Be16::from_raw(fold(pseudo));
    return;
  }
  field = finish((layer.kind == Kind::kIcmp ? 0 : pseudo) + sum_bytes(l4));
  if (layer.kind == Kind::kUdp && field == Be16()) field = Be16(0xffff);
}

Bytes PacketBuilder::bytes() const {
  Bytes tail;
  for (std::size_t index = layers_.size(); index-- > 0;) {
    Layer layer = layers_[index];
    link(index, layer);
    if (layer.kind == Kind::kIpv4) finish_ipv4(layer, tail.size());
    if (layer.kind == Kind::kIpv6) {
      view<Ipv6Header>(layer.header.data()).payload_length = Be16(static_cast<std::uint16_t>(tail.size()));
    }
    Bytes all = std::move(layer.header);
    append(all, tail);
    switch (layer.kind) {
      case Kind::kUdp:
      case Kind::kTcp:
      case Kind::kSctp:
      case Kind::kIcmp:
      case Kind::kIcmpv6: finish_l4(index, all); break;
      default: break;
    }
    tail = std::move(all);
  }
  return tail;
}

Bytes patch(Bytes frame, std::size_t offset, std::uint8_t value) {
  frame.at(offset) = value;
  return frame;
}

Bytes patch_ipv4(Bytes frame, std::size_t offset, std::uint8_t value) {
  frame.at(offset) = value;
  set_ipv4_checksum(view<Ipv4Header>(frame.data() + sizeof(EthernetHeader)));
  return frame;
}

Bytes cut(Bytes frame, std::size_t count) {
  frame.resize(count);
  return frame;
}

TestPacket::TestPacket(std::span<const std::uint8_t> frame, std::uint32_t headroom_bytes,
                       std::uint32_t tailroom_bytes) {
  const auto frame_bytes = static_cast<std::uint32_t>(frame.size());
  const std::uint32_t capacity = headroom_bytes + frame_bytes + tailroom_bytes;
  memory_ = std::make_unique<std::uint8_t[]>(capacity);
  packet_ = std::make_unique<Packet>();
  packet_->buffer = memory_.get();
  packet_->data = memory_.get() + headroom_bytes;
  packet_->capacity_bytes = capacity;
  packet_->head_bytes = frame_bytes;
  packet_->length_bytes = frame_bytes;
  std::copy(frame.begin(), frame.end(), packet_->data);
}

TestPacket TestPacket::with_capacity(std::uint32_t capacity_bytes, std::uint32_t headroom_bytes) {
  return TestPacket({}, headroom_bytes, capacity_bytes);
}

Drop TestPacket::parse() noexcept { return net::parse(packet_->head(), packet_->length_bytes, packet_->headers); }

}  // namespace millrace::tests
