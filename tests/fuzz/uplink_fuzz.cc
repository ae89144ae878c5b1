// Fuzzes what an uplink receives. The first byte of an input says how the rest becomes a frame: as it is, or inside
// VXLAN over IPv4 or IPv6 whose outer headers are right, or as what follows a right outer UDP header; and whether the
// inner IPv4 header is mended and given addresses of the other node's pod and of this node's.
//
// Required: VXLAN that is opened holds together and goes in and out again unchanged; the quick way of taking it out
// comes to the same as the whole; a switch sends or drops every packet, gives a pod only what is its own, and never
// from the address of a pod of this node.

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <vector>

#include "datapath/handoff.h"
#include "datapath/memory_port.h"
#include "datapath/publisher.h"
#include "datapath/snapshot_builder.h"
#include "datapath/worker.h"
#include "net/checksum.h"
#include "net/ip_header.h"
#include "net/vxlan.h"
#include "tests/fuzz/require.h"
#include "tests/net/packet_builder.h"

namespace {

using namespace millrace;
using namespace millrace::net;
using tests::Bytes;
using tests::eth;
using tests::require;
using tests::TestPacket;
using Input = std::span<const std::uint8_t>;

constexpr std::uint32_t kVni = 4096;
constexpr std::uint16_t kPort = 4789;
constexpr std::size_t kMaxFrameBytes = 1500;
const Mac kOwnVtep{{2, 0, 0, 0, 3, 1}}, kOtherVtep{{2, 0, 0, 0, 3, 2}};
const Mac kOwnDevice{{2, 0, 0, 0, 2, 1}}, kOtherDevice{{2, 0, 0, 0, 2, 2}};
const Mac kPodMac{{2, 0, 0, 0, 0, 7}}, kHostMac{{2, 0, 0, 0, 0, 0xff}}, kGatewayMac{{2, 0x4d, 0x52, 0, 0, 1}};
const Vtep kVtep{Ipv4::from_host(0xc0000201), kPort, kVni, kOwnVtep};

IpAddress at(const char* text) { return IpAddress::parse(text).value(); }
Prefix prefix(const char* text) { return Prefix::parse(text).value(); }

enum Wrap : std::uint8_t { kAsItIs, kOverIpv4, kOverIpv6, kBehindUdp, kWrapMask = 3, kMended = 4, kNoChecksum = 8 };

Bytes outer(Bytes content, std::uint8_t mode) {
  const auto frame = eth("02:00:00:00:02:02", "02:00:00:00:02:01");
  auto ip = (mode & kWrapMask) == kOverIpv6 ? tests::PacketBuilder(frame).ipv6("2001:db8::2", "2001:db8::1")
                                            : tests::PacketBuilder(frame).ipv4("192.0.2.2", "192.0.2.1");
  ip.udp(50'000, kPort);
  if ((mode & kNoChecksum) != 0) ip.no_checksum();
  return ip.payload(std::move(content)).bytes();
}

/// The inner frame, for this VTEP.
Bytes inner(Input data, std::uint8_t mode) {
  Bytes frame(data.begin(), data.end());
  if (frame.size() >= kOwnVtep.bytes.size()) std::copy(kOwnVtep.bytes.begin(), kOwnVtep.bytes.end(), frame.begin());
  constexpr std::size_t kIpEnd = sizeof(EthernetHeader) + sizeof(Ipv4Header);
  if ((mode & kMended) == 0 || frame.size() < kIpEnd) return frame;
  auto& ip = view<Ipv4Header>(frame.data() + sizeof(EthernetHeader));
  ip.source = Ipv4::from_host(0x0af50001);
  ip.destination = Ipv4::from_host(0x0af40007);
  if (frame.size() >= sizeof(EthernetHeader) + ip.header_bytes() && ip.header_bytes() >= sizeof ip) {
    set_ipv4_checksum(ip);
  }
  return frame;
}

Bytes frame_of(Input input) {
  const std::uint8_t mode = input[0];
  const Input data = input.subspan(1);
  if ((mode & kWrapMask) == kAsItIs) return Bytes(data.begin(), data.end());
  Bytes content =
      (mode & kWrapMask) == kBehindUdp ? Bytes(data.begin(), data.end()) : Bytes{8, 0, 0, 0, 0, kVni >> 8, 0, 0};
  if ((mode & kWrapMask) != kBehindUdp) {
    const Bytes held = inner(data, mode);
    content.insert(content.end(), held.begin(), held.end());
  }
  return outer(std::move(content), mode);
}

bool is_vxlan(const Headers& headers) {
  return headers.l4_protocol == ip_protocol::kUdp && headers.has_l4 && !headers.is_fragment &&
         headers.destination_port == kPort;
}

/// Opens the frame the whole way; nullopt: it is none to open.
std::optional<Drop> open_whole(TestPacket& packet) {
  if (packet.parse() != Drop::kNone || !is_vxlan(packet->headers)) return std::nullopt;
  if (check_vxlan(*packet, kVni, kOwnVtep) != Drop::kNone) return std::nullopt;
  return open_vxlan(*packet);
}

void check_opened(TestPacket& packet) {
  const Headers& headers = packet->headers;
  require(headers.l3_offset + headers.l3_length <= packet->length_bytes, "what is inside lies inside");
  if (headers.l3 == L3::kArp) return;
  // As a switch does before it puts a packet in: what looks left to a device is completed.
  if (l4_checksum_is_partial(packet->head(), headers)) complete_l4_checksum(packet->head(), headers);
  const Bytes before(packet->data + headers.l3_offset, packet->data + headers.l3_offset + headers.l3_length);
  const OuterHeader back = make_vxlan_header({.source_mac = kOwnDevice,
                                              .destination_mac = kOtherDevice,
                                              .source = at("2001:db8::1"),
                                              .destination = at("2001:db8::2"),
                                              .udp_port = kPort,
                                              .vni = kVni,
                                              .inner_source = kOtherVtep,
                                              .inner_destination = kOwnVtep});
  require(encapsulate(*packet, back), "there is room for the headers");
  require(packet.parse() == Drop::kNone && is_vxlan(packet->headers), "what is put in is VXLAN");
  // The sum may stand for an inner checksum that was wrong when it came.
  const Drop checked = check_vxlan(*packet, kVni, kOwnVtep);
  require(checked == Drop::kNone || checked == Drop::kTunnelBadChecksum, "what is put in may be taken out");
  require(open_vxlan(*packet) == Drop::kNone, "what is put in comes out");
  require(packet->headers.l3_length == before.size() &&
              std::equal(before.begin(), before.end(), packet->data + packet->headers.l3_offset),
          "and is the same");
}

void check_frame(const Bytes& frame) {
  TestPacket whole(frame, 128, 0);
  TestPacket quick(frame, 128, 0);
  const auto drop = open_whole(whole);
  if (is_common_vxlan(*quick, kVtep)) {
    require(drop.has_value(), "what is common may be opened");
    require(open_common_vxlan(*quick) == *drop, "both ways come to the same end");
    require(quick.bytes() == whole.bytes(), "both ways come to the same packet");
  }
  if (drop == Drop::kNone) check_opened(whole);
  // The first segment of a longer packet.
  TestPacket part(frame, 0, 0);
  part->length_bytes += 100;
  if (part.parse() != Drop::kNone || !is_vxlan(part->headers)) return;
  if (check_vxlan(*part, kVni, kOwnVtep) == Drop::kNone) static_cast<void>(open_vxlan(*part));
}

/// A node with one pod, 10.244.0.7, the host and an uplink; the other node is 192.0.2.2, its pods are 10.245.0.0/24.
class Switch {
 public:
  Switch() {
    datapath::SnapshotSpec spec;
    spec.generation = 1;
    spec.port_limit = ports_.size();
    spec.worker_count = 1;
    spec.gateway.mac = kGatewayMac;
    spec.gateway.ipv4 = at("169.254.1.1").v4();
    spec.gateway.ipv6 = at("fe80::1").v6();
    const auto port = [&](std::size_t id, datapath::PortKind kind, const Mac& mac) -> datapath::PortSpec& {
      datapath::PortSpec& made = spec.ports.emplace_back();
      made.id = static_cast<PortId>(id);
      made.name = std::to_string(id);
      made.port = &ports_[id];
      made.kind = kind;
      made.mtu_bytes = 1500;
      made.mac = mac;
      return made;
    };
    port(kPod, datapath::PortKind::kPod, kPodMac).addresses = {at("10.244.0.7"), at("fd00:10:244::7")};
    datapath::PortSpec& host = port(kHost, datapath::PortKind::kHost, kHostMac);
    host.addresses = {at("192.0.2.1"), at("2001:db8::1")};
    host.prefixes = {prefix("0.0.0.0/0"), prefix("::/0")};
    spec.nat.node_addresses = host.addresses;
    port(kUplink, datapath::PortKind::kUplink, kOwnDevice);
    spec.underlay = {at("192.0.2.1").v4(), at("2001:db8::1").v6(), kOwnVtep, kVni, kPort};
    spec.uplinks = {{"eth0", kOwnDevice, {kUplink}}};
    spec.tunnel_limit = 3;
    const datapath::TunnelHop hop{0, kOtherDevice, 1500};
    spec.tunnels = {{0, "v4", at("192.0.2.2"), true, kOtherVtep, hop, {prefix("10.245.0.0/24")}},
                    {1, "v6", at("2001:db8::2"), true, kOtherVtep, hop, {prefix("fd00:10:245::/64")}},
                    {2, "third", at("192.0.2.3"), false, {}, hop, {prefix("10.246.0.0/24")}}};
    publisher_.publish(std::move(datapath::build_snapshot(spec, nullptr)).value());
  }

  void take(const Bytes& frame) {
    Packet* packet = pool_.allocate();
    std::memcpy(packet->data, frame.data(), frame.size());
    packet->head_bytes = packet->length_bytes = static_cast<std::uint32_t>(frame.size());
    packet->offload = {};
    require(ports_[kUplink].offer({&packet, 1}) == 1, "the port takes a packet");
    constexpr int kTurns = 4;
    for (int turn = 0; turn < kTurns; ++turn) worker_.step(1'000'000'000);
    for (std::size_t id = 0; id < ports_.size(); ++id) {
      while (ports_[id].collect({&packet, 1}) == 1) {
        check_sent(id, *packet);
        pool_.release({&packet, 1});
      }
    }
    require(pool_.free_count() == pool_.size(), "every packet is sent or dropped");
    check_counters();
  }

 private:
  static constexpr std::size_t kPod = 0, kHost = 1, kUplink = 2;

  void check_sent(std::size_t id, Packet& packet) {
    require(parse(packet.head(), packet.length_bytes, packet.headers) == Drop::kNone, "what is sent parses");
    if (id != kPod) return;
    require(ethernet(packet).destination == kPodMac && ethernet(packet).source == kGatewayMac, "a pod's MACs");
    if (packet.headers.l3 == L3::kIpv4) {
      require(ipv4(packet).destination == at("10.244.0.7").v4(), "a pod's address");
      require(ipv4(packet).source != at("10.244.0.7").v4(), "nobody outside is a pod of this node");
    } else {
      require(packet.headers.l3 == L3::kIpv6 && ipv6(packet).destination == at("fd00:10:244::7").v6(),
              "a pod's address");
      require(ipv6(packet).source != at("fd00:10:244::7").v6(), "nobody outside is a pod of this node");
    }
  }

  void check_counters() {
    std::uint64_t in = 0, out = 0;
    const auto add = [&](datapath::PortCounters& row) {
      in += row.rx_packets.get() + row.created.get();
      out += row.tx_packets.get();
      for (const datapath::Counter& drop : row.drops) out += drop.get();
    };
    for (std::size_t id = 0; id < ports_.size(); ++id) add(counters_.port(static_cast<PortId>(id)));
    add(counters_.gone_ports());
    require(in == out, "rx + created == tx + drops");
  }

  datapath::MemoryPool pool_{64, 2048};
  std::array<datapath::MemoryPort, 3> ports_;
  datapath::Publisher publisher_{1};
  std::unique_ptr<datapath::HandoffRings, void (*)(datapath::HandoffRings*)> rings_ =
      datapath::make_handoff_rings(1, nullptr, nullptr);
  datapath::WorkerCounters counters_{3, 0, 3};
  datapath::Worker worker_{0, {.limit = nat::kMinFlowLimit, .seed = 1}, publisher_, pool_, *rings_, counters_};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > kMaxFrameBytes) return 0;
  const Bytes frame = frame_of({data, size});
  if (frame.empty()) return 0;
  check_frame(frame);
  Switch().take(frame);
  return 0;
}
