/// What tests of flows share: services in a line, the node's masquerade, and packet in -> packet out as text.
///
/// Thread:  one.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "net/checksum.h"
#include "net/ip_header.h"
#include "tests/datapath/test_switch.h"

namespace millrace::tests {

/// Pods leave as kNodeV4 and kNodeV6, but not to each other and not to the node.
inline void describe_nat(TestSwitch& world) {
  world.nat.masquerade_v4 = v4(kNodeV4);
  world.nat.masquerade_v6 = v6(kNodeV6);
  for (const char* const prefix : {"10.244.0.0/16", "192.0.2.1/32", "fd00:10:244::/64", "2001:db8::1/128"}) {
    world.nat.not_masqueraded.push_back(net::Prefix::parse(prefix).value());
  }
  world.nat.service_prefixes = {net::Prefix::parse("10.96.0.0/12").value()};
  world.nat.node_addresses = {net::IpAddress::from(v4(kNodeV4)), net::IpAddress::from(v6(kNodeV6))};
}

/// One frontend, the same for all sources.
inline nat::ServiceSpec service_to(const std::string& address, std::uint8_t protocol, std::uint16_t port,
                                   const std::vector<std::string>& backends, std::uint16_t target_port,
                                   bool masquerade = false) {
  nat::ServiceSpec spec;
  spec.name = fmt::format("{}:{}/{}", address, port, protocol);
  spec.backend_sets.emplace_back();
  for (const std::string& backend : backends) {
    spec.backend_sets[0].push_back({net::IpAddress::parse(backend).value(), target_port});
  }
  nat::FrontendSpec frontend;
  frontend.address = net::IpAddress::parse(address).value();
  frontend.protocol = protocol;
  frontend.port = port;
  for (nat::FrontendRule& rule : frontend.rules) rule = {nat::FrontendAction::kBalance, 0, masquerade};
  spec.frontends = {frontend};
  return spec;
}

/// "udp 10.0.0.1:1 > 10.0.0.2:2"; fragments and checksums that are wrong are said.
inline std::string tuple_text(const Bytes& frame) {
  TestPacket packet(frame);
  if (packet.parse() != net::Drop::kNone) return "does not parse";
  const net::Headers& headers = packet->headers;
  const bool is_v4 = headers.l3 == net::L3::kIpv4;
  const char* const name = headers.l4_protocol == net::ip_protocol::kTcp    ? "tcp"
                           : headers.l4_protocol == net::ip_protocol::kUdp  ? "udp"
                           : headers.l4_protocol == net::ip_protocol::kSctp ? "sctp"
                                                                            : "icmp";
  const std::string source = is_v4 ? net::ipv4(*packet).source.to_string() : net::ipv6(*packet).source.to_string();
  const std::string destination =
      is_v4 ? net::ipv4(*packet).destination.to_string() : net::ipv6(*packet).destination.to_string();
  std::string text =
      fmt::format("{} {}:{} > {}:{}", name, source, headers.source_port, destination, headers.destination_port);
  if (is_v4 && !net::ipv4_checksum_is_right(net::ipv4(*packet))) text += " bad header checksum";
  if (headers.is_fragment) return text + (headers.is_first_fragment ? " first fragment" : " later fragment");
  if (headers.has_l4 && !net::l4_checksum_is_right(packet->head(), headers)) text += " bad checksum";
  return text;
}

/// What one frame becomes: "PORT: tuple", or "dropped". Takes the source port of what left, if asked.
inline std::string pass(TestSwitch& world, net::PortId in, const Bytes& frame, std::uint16_t* source_port = nullptr) {
  EXPECT_TRUE(world.send(in, frame));
  world.run();
  std::string text;
  for (const net::PortId id : world.ports()) {
    for (const Bytes& sent : world.receive(id)) {
      text.append(text.empty() ? "" : ", ").append(fmt::format("{}: {}", id, tuple_text(sent)));
      TestPacket packet(sent);
      EXPECT_EQ(packet.parse(), net::Drop::kNone);
      if (source_port != nullptr) *source_port = packet->headers.source_port;
    }
  }
  return text.empty() ? "dropped" : text;
}

}  // namespace millrace::tests
