#include "perf/bench/tunnel.h"

#include <stdexcept>

#include "net/parser.h"

namespace millrace::perf::bench {
namespace {

constexpr std::uint32_t kVni = 4096;
constexpr std::uint16_t kUdpPort = 4789;
constexpr std::uint32_t kPathMtuBytes = 1600;
constexpr net::Mac kOwnMac{{0x02, 0, 0, 0, 0x20, 1}}, kOtherMac{{0x02, 0, 0, 0, 0x20, 2}};
constexpr net::Mac kOwnVtep{{0x02, 0, 0, 0, 0x21, 1}}, kOtherVtep{{0x02, 0, 0, 0, 0x21, 2}};

net::IpAddress at(const char* text) { return net::IpAddress::parse(text).value(); }
net::IpAddress own(Link link) { return at(link == Link::kVxlanOverIpv6 ? "2001:db8::1" : "192.0.2.1"); }
net::IpAddress other(Link link) { return at(link == Link::kVxlanOverIpv6 ? "2001:db8::2" : "192.0.2.2"); }

}  // namespace

Tunnel::Tunnel(Link link) : link_(link) {
  outer_ = link == Link::kPlain ? net::make_plain_header(kOwnMac, kOtherMac)
                                : net::make_vxlan_header({.source_mac = kOtherMac,
                                                          .destination_mac = kOwnMac,
                                                          .source = other(link),
                                                          .destination = own(link),
                                                          .udp_port = kUdpPort,
                                                          .vni = kVni,
                                                          .inner_source = kOtherVtep,
                                                          .inner_destination = kOwnVtep});
}

void Tunnel::describe(datapath::SnapshotSpec& spec, net::PortId uplink, datapath::Port& port) const {
  datapath::PortSpec device;
  device.id = uplink;
  device.name = "uplink";
  device.port = &port;
  device.kind = datapath::PortKind::kUplink;
  device.mtu_bytes = kPathMtuBytes;
  device.mac = kOwnMac;
  spec.ports.push_back(std::move(device));
  spec.uplinks = {{"uplink", kOwnMac, {uplink}}};
  spec.underlay = {at("192.0.2.1").v4(), at("2001:db8::1").v6(), kOwnVtep, kVni, kUdpPort};
  spec.tunnel_limit = kTunnelLimit;
  spec.tunnels = {
      {.index = 0,
       .name = "other",
       .remote = other(link_),
       .is_encapsulated = link_ != Link::kPlain,
       .remote_vtep_mac = kOtherVtep,
       .hop = datapath::TunnelHop{0, kOtherMac, kPathMtuBytes},
       .prefixes = {net::Prefix::parse("10.2.0.0/16").value(), net::Prefix::parse("fd00::10.2.0.0/112").value()}}};
}

void Tunnel::into(net::Packet& packet) const {
  if (!net::encapsulate(packet, outer_)) throw std::logic_error("a packet has no room for the tunnel's headers");
}

void Tunnel::out_of(net::Packet& packet) const {
  net::Drop drop = net::parse(packet.head(), packet.length_bytes, packet.headers);
  if (drop == net::Drop::kNone && link_ != Link::kPlain) {
    drop = net::check_vxlan(packet, kVni, kOtherVtep);
    if (drop == net::Drop::kNone) drop = net::open_vxlan(packet);
  }
  if (drop != net::Drop::kNone) throw std::runtime_error("what the switch puts into the tunnel is no packet of one");
}

}  // namespace millrace::perf::bench
