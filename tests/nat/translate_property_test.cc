// Properties over random packets: an updated checksum is the one computed from nothing, and what the reply's line does
// is the way back of what the request's line did.

#include <gtest/gtest.h>

#include <random>

#include "nat/translate.h"
#include "tests/nat/lines.h"

namespace millrace::tests {
namespace {

using namespace net;
using namespace nat;

constexpr unsigned kRounds = 20'000;

std::string random_v4(std::mt19937& random) {
  return Ipv4::from_host(static_cast<std::uint32_t>(random())).to_string();
}

std::string random_v6(std::mt19937& random) {
  Ipv6 address;
  for (std::uint8_t& byte : address.bytes) byte = static_cast<std::uint8_t>(random());
  return address.to_string();
}

std::uint16_t random_port(std::mt19937& random) { return static_cast<std::uint16_t>(random()); }

/// An L4 header of any kind the room translates, and a payload of random bytes, over the IP header `packet` ends with.
Bytes random_frame(PacketBuilder packet, bool is_v6, std::mt19937& random) {
  const std::uint16_t source = random_port(random);
  const std::uint16_t destination = random_port(random);
  const bool is_partial = random() % 4 == 0;
  switch (random() % 4) {
    case 0: packet.tcp(source, destination); break;
    case 1: packet.udp(source, destination); break;
    case 2: packet.sctp(source, destination); break;
    default:
      if (is_v6) {
        packet.icmpv6(random() % 2 == 0 ? 128 : 129, 0, source, destination);
      } else {
        packet.icmp(random() % 2 == 0 ? 8 : 0, 0, source, destination);
      }
      packet.payload(1 + random() % 100);
      return packet.bytes();
  }
  if (is_partial) packet.partial_checksum();
  Bytes payload(random() % 1400);
  for (std::uint8_t& byte : payload) byte = static_cast<std::uint8_t>(random());
  return packet.payload(std::move(payload)).bytes();
}

/// The same packet from its destination to its source: no sum changes by that.
template <typename Header>
void turn_round(Packet& packet) {
  auto& ip = view<Header>(packet.data + packet.headers.l3_offset);
  std::swap(ip.source, ip.destination);
  Headers& headers = packet.headers;
  std::swap(headers.source_port, headers.destination_port);
  if (headers.l4_protocol == ip_protocol::kIcmp || headers.l4_protocol == ip_protocol::kIcmpv6) return;
  auto& source = view<Be16>(packet.data + headers.l4_offset);
  auto& destination = view<Be16>(packet.data + headers.l4_offset + 2);
  std::swap(source, destination);
}

/// SCTP's CRC knows which port comes first.
void mend_sctp(Packet& packet) {
  const bool is_sctp = packet.headers.l4_protocol == ip_protocol::kSctp;
  if (is_sctp && !packet.offload.checksum_partial) complete_l4_checksum(packet.head(), packet.headers);
}

template <typename Header, typename Line>
void expect_there_and_back(const Bytes& frame, const Translation<typename Line::Address>& wanted) {
  TestPacket packet(frame, 0, 0);
  ASSERT_EQ(packet.parse(), Drop::kNone);
  mark_partial(*packet);
  const Line line = line_of<Line>(Line::Key::of(*packet), wanted);
  ASSERT_TRUE(translate(*packet, line));

  TestPacket full(packet.bytes(), 0, 0);
  ASSERT_EQ(full.parse(), Drop::kNone);
  EXPECT_EQ(full->headers.source_port, packet->headers.source_port);
  EXPECT_EQ(l4_checksum_is_partial(full->head(), full->headers), packet->offload.checksum_partial) << describe(frame);
  if (!packet->offload.checksum_partial) {
    ASSERT_TRUE(complete_l4_checksum(full->head(), full->headers));
    ASSERT_EQ(describe(full.bytes()), describe(packet.bytes())) << describe(frame);
    ASSERT_EQ(full.bytes(), packet.bytes());
  }

  turn_round<Header>(*packet);
  mend_sctp(*packet);
  ASSERT_TRUE(translate(*packet, partner_of(line)));
  turn_round<Header>(*packet);
  mend_sctp(*packet);
  ASSERT_EQ(describe(packet.bytes()), describe(frame));
  ASSERT_EQ(packet.bytes(), frame);
}

template <typename Address>
Translation<Address> random_translation(const Address& source, const Address& destination, bool is_echo,
                                        std::mt19937& random) {
  const std::uint16_t source_port = random_port(random);
  return {source, destination, source_port, is_echo ? source_port : random_port(random)};
}

bool is_icmp_frame(const Bytes& frame) {
  TestPacket packet(frame);
  packet.parse();
  return packet->headers.l4_protocol == ip_protocol::kIcmp || packet->headers.l4_protocol == ip_protocol::kIcmpv6;
}

TEST(TranslateProperty, Ipv4UpdatedIsFullAndThePartnerLeadsBack) {
  std::mt19937 random(11);
  for (unsigned round = 0; round < kRounds && !HasFatalFailure(); ++round) {
    const Bytes frame = random_frame(eth().ipv4(random_v4(random), random_v4(random)), false, random);
    const auto to = random_translation(v4(random_v4(random)), v4(random_v4(random)), is_icmp_frame(frame), random);
    expect_there_and_back<Ipv4Header, FlowLineV4>(frame, to);
  }
}

TEST(TranslateProperty, Ipv6UpdatedIsFullAndThePartnerLeadsBack) {
  std::mt19937 random(12);
  for (unsigned round = 0; round < kRounds && !HasFatalFailure(); ++round) {
    const Bytes frame = random_frame(eth().ipv6(random_v6(random), random_v6(random)), true, random);
    const auto to = random_translation(v6(random_v6(random)), v6(random_v6(random)), is_icmp_frame(frame), random);
    expect_there_and_back<Ipv6Header, FlowLineV6>(frame, to);
  }
}

}  // namespace
}  // namespace millrace::tests
