/// PacketBuilder: frames for tests, written as one reads them, with right lengths, protocol numbers and checksums.
///
///     eth().vlan(7).ipv4("10.0.0.1", "10.0.0.2").ttl(3).udp(4000, 53).payload("hello").bytes()
///
/// Shape:   each call adds a header behind the last; ttl(), fragment(), options() ... change the header just added. A
///          wrong packet is a right one with bytes() changed afterwards: see patch().
/// Errors:  an address that does not parse, or a change to a header of another kind, ends the test program.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "net/packet.h"
#include "net/wire.h"

namespace millrace::tests {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::string_view kMacA = "02:00:00:00:00:0a";
inline constexpr std::string_view kMacB = "02:00:00:00:00:0b";

net::Mac mac(std::string_view text);
net::Ipv4 v4(std::string_view text);
net::Ipv6 v6(std::string_view text);

class PacketBuilder {
 public:
  PacketBuilder& vlan(std::uint16_t id, net::Be16 tag_type = net::ether_type::kVlan);
  PacketBuilder& arp(std::uint16_t operation, std::string_view sender_mac, std::string_view sender_ip,
                     std::string_view target_mac, std::string_view target_ip);
  PacketBuilder& ipv4(std::string_view source, std::string_view destination);
  PacketBuilder& ipv6(std::string_view source, std::string_view destination);
  /// An IPv6 extension header of this kind (0, 43, 51 or 60) and length, its content zero.
  PacketBuilder& extension(std::uint8_t kind, std::size_t bytes = 8);
  PacketBuilder& ipv6_fragment(std::uint32_t offset_bytes, bool more, std::uint32_t id = 1);
  PacketBuilder& udp(std::uint16_t source_port, std::uint16_t destination_port);
  PacketBuilder& tcp(std::uint16_t source_port, std::uint16_t destination_port,
                     std::uint8_t flags = net::TcpHeader::kAck);
  PacketBuilder& sctp(std::uint16_t source_port, std::uint16_t destination_port);
  PacketBuilder& icmp(std::uint8_t type, std::uint8_t code = 0, std::uint16_t identifier = 0,
                      std::uint16_t sequence = 0);
  PacketBuilder& icmpv6(std::uint8_t type, std::uint8_t code = 0, std::uint16_t identifier = 0,
                        std::uint16_t sequence = 0);
  /// Neighbour solicitation for `target`, with a source link-layer option unless `source_mac` is empty.
  PacketBuilder& neighbor_solicitation(std::string_view target, std::string_view source_mac = "");
  PacketBuilder& payload(std::string_view text);
  PacketBuilder& payload(Bytes content);
  /// `count` bytes that count up: 0, 1, 2 ...
  PacketBuilder& payload(std::size_t count);

  // Changes to the header just added.
  PacketBuilder& ttl(std::uint8_t ttl);            // ipv4, ipv6
  PacketBuilder& protocol(std::uint8_t protocol);  // ipv4, ipv6: what no header behind sets
  PacketBuilder& dont_fragment();                  // ipv4
  PacketBuilder& fragment(std::uint32_t offset_bytes, bool more, std::uint16_t id = 1);  // ipv4
  PacketBuilder& sequence(std::uint32_t sequence, std::uint32_t acknowledgment);         // tcp
  PacketBuilder& options(Bytes options);  // ipv4, tcp; padded with zeros to 4 bytes
  /// Leaves the L4 checksum as a sender with checksum offload does (checksum.h).
  PacketBuilder& partial_checksum();  // udp, tcp, sctp
  PacketBuilder& no_checksum();       // udp

  Bytes bytes() const;

 private:
  enum class Kind : std::uint8_t {
    kEthernet,
    kVlan,
    kArp,
    kIpv4,
    kIpv6,
    kExtension,
    kFragment,
    kUdp,
    kTcp,
    kSctp,
    kIcmp,
    kIcmpv6,
    kPayload,
  };
  enum class Checksum : std::uint8_t { kFull, kPartial, kNone };
  struct Layer {
    Kind kind;
    Bytes header;
    std::uint8_t protocol = 0;  // the number the header in front names it by
    net::Be16 ether_type;
    Checksum checksum = Checksum::kFull;
    bool fixed_protocol = false;
  };
  friend PacketBuilder eth(std::string_view source, std::string_view destination);

  template <typename T>
  PacketBuilder& add(Kind kind, const T& header, std::uint8_t protocol = 0, net::Be16 ether_type = {});
  template <typename T>
  T& last(std::initializer_list<Kind> kinds);
  void link(std::size_t index, Layer& layer) const;
  static void finish_ipv4(Layer& layer, std::size_t tail_bytes);
  void finish_l4(std::size_t index, Bytes& l4) const;

  std::vector<Layer> layers_;
};

PacketBuilder eth(std::string_view source = kMacA, std::string_view destination = kMacB);

/// The frame with `value` written at `offset`.
Bytes patch(Bytes frame, std::size_t offset, std::uint8_t value);
/// The same, and the IPv4 header at byte 14 gets a right checksum again.
Bytes patch_ipv4(Bytes frame, std::size_t offset, std::uint8_t value);
/// The first `count` bytes.
Bytes cut(Bytes frame, std::size_t count);

/// A Packet with its own memory: headroom + frame + tailroom bytes exactly, so that the address sanitizer sees every
/// byte read or written outside.
class TestPacket {
 public:
  explicit TestPacket(std::span<const std::uint8_t> frame, std::uint32_t headroom_bytes = 128,
                      std::uint32_t tailroom_bytes = 64);
  /// An empty packet with room for `capacity_bytes` behind the headroom.
  static TestPacket with_capacity(std::uint32_t capacity_bytes, std::uint32_t headroom_bytes = 128);

  net::Packet& operator*() noexcept { return *packet_; }
  net::Packet* operator->() noexcept { return packet_.get(); }
  net::Packet* get() noexcept { return packet_.get(); }
  /// Parses into the packet's headers.
  net::Drop parse() noexcept;
  Bytes bytes() const { return {packet_->data, packet_->data + packet_->head_bytes}; }

 private:
  std::unique_ptr<std::uint8_t[]> memory_;
  std::unique_ptr<net::Packet> packet_;
};

/// What a person reads in a frame, a line for each header: two frames that differ show which field does.
std::string describe(std::span<const std::uint8_t> frame);

}  // namespace millrace::tests
