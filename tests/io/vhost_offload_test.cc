// Checksums and segments between a guest and the switch: what the virtio-net header says, and what becomes of it on the
// whole way through a worker.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "datapath/handoff.h"
#include "datapath/memory_port.h"
#include "datapath/snapshot_builder.h"
#include "net/checksum.h"
#include "net/offload.h"
#include "tests/io/hostile_guest.h"
#include "tests/io/vhost_rig.h"
#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using datapath::TxOffload;

constexpr std::uint8_t kNeedsChecksum = VirtioNetHeader::kNeedsChecksum;
constexpr std::uint16_t kTcpStart = 34, kTcpField = 16;
constexpr std::string_view kGatewayMac = "02:4d:52:00:00:01", kGuestMac = "02:00:00:00:00:03",
                           kPodMac = "02:00:00:00:00:04";
constexpr std::uint32_t kFrames = 4096;

/// A guest 10.244.0.3, a pod 10.244.0.4 in memory, and a worker between them.
class Rig {
 public:
  explicit Rig(std::uint64_t features)
      : pool_(make_pool(kFrames)),
        guest_port_(open_vhost(*pool_, path())),
        rings_(datapath::make_handoff_rings(1, nullptr, nullptr)),
        worker_(0, {.limit = 1024}, publisher_, *pool_, *rings_, counters_),
        guest_(path(), features) {
    datapath::SnapshotSpec spec;
    spec.generation = 1;
    spec.port_limit = 4;
    spec.worker_count = 1;
    spec.gateway.mac = mac(kGatewayMac);
    spec.gateway.ipv4 = v4("169.254.1.1");
    spec.ports = {pod(1, *guest_port_, kGuestMac, 3), pod(2, pod_port_, kPodMac, 4)};
    publisher_.publish(std::move(datapath::build_snapshot(spec, nullptr)).value());
    if (!wait_for(*guest_port_, true)) throw std::runtime_error("the guest is not seen");
  }

  void run(unsigned turns = 4) {
    for (unsigned i = 0; i < turns; ++i) worker_.step(now_ns_ += 1000);
  }
  /// What the pod got. The worker's own are all back then: of a guest that harmed nobody.
  std::vector<Bytes> pods_frames() {
    std::vector<Bytes> frames;
    net::Packet* packet = nullptr;
    while (pod_port_.collect({&packet, 1}) == 1) {
      EXPECT_FALSE(packet->is_chained());
      frames.emplace_back(packet->data, packet->data + packet->length_bytes);
      pool_->release({&packet, 1});
    }
    EXPECT_EQ(pool_->free_count(), kFrames) << "frames were lost";
    return frames;
  }
  void send_from_pod(const Bytes& frame) {
    net::Packet* packet = pool_->allocate();
    write_frame(*packet, frame);
    if (pod_port_.offer({&packet, 1}) != 1) throw std::runtime_error("the pod's ring is full");
    run();
  }
  std::uint64_t drops(net::Drop reason) { return counters_.port(1).drops[static_cast<std::size_t>(reason)].get(); }

  HostileGuest& guest() { return guest_; }
  VhostPort& guest_port() { return *guest_port_; }
  MbufPool& pool() { return *pool_; }

 private:
  std::string path() const { return directory_.path + "/pod.sock"; }
  static datapath::PortSpec pod(net::PortId id, Port& port, std::string_view own, unsigned number) {
    datapath::PortSpec spec;
    spec.id = id;
    spec.name = fmt::format("pod {}", number);
    spec.port = &port;
    spec.mtu_bytes = 1500;
    spec.mac = mac(own);
    spec.addresses = {net::IpAddress::from(v4(fmt::format("10.244.0.{}", number))),
                      net::IpAddress::from(v6(fmt::format("fd00::{}", number)))};
    return spec;
  }

  const Directory directory_;
  std::unique_ptr<MbufPool> pool_;
  std::unique_ptr<VhostPort> guest_port_;
  datapath::MemoryPort pod_port_;
  datapath::Publisher publisher_{1};
  datapath::WorkerCounters counters_{4};
  std::unique_ptr<datapath::HandoffRings, void (*)(datapath::HandoffRings*)> rings_;
  datapath::Worker worker_;
  HostileGuest guest_;
  std::uint64_t now_ns_ = 1'000'000'000;
};

PacketBuilder l3(bool is_v4 = true) {
  PacketBuilder frame = eth(kGuestMac, kGatewayMac);
  return is_v4 ? frame.ipv4("10.244.0.3", "10.244.0.4").dont_fragment() : frame.ipv6("fd00::3", "fd00::4");
}
Bytes syn(bool is_v4 = true) { return l3(is_v4).tcp(1000, 80, net::TcpHeader::kSyn).sequence(9, 0).bytes(); }
Bytes data(bool is_v4, std::size_t bytes) {
  return l3(is_v4).tcp(1000, 80).sequence(10, 1).partial_checksum().payload(bytes).bytes();
}

TEST(VhostOffload, WhatAGuestLeavesIsFinishedForAPodThatDoesNot) {
  Rig rig(HostileGuest::kSendsUnfinished);
  for (const bool is_v4 : {true, false}) {
    const std::uint16_t start = is_v4 ? 34 : 54;
    rig.guest().send({}, syn(is_v4), 4096);
    rig.run();
    ASSERT_EQ(rig.pods_frames().size(), 1u);
    for (const std::uint32_t descriptor_bytes : {70'000u, 4096u, 1000u}) {
      const std::size_t bytes = 60'000;
      const VirtioNetHeader header{kNeedsChecksum,
                                   is_v4 ? VirtioNetHeader::kGsoTcp4 : VirtioNetHeader::kGsoTcp6,
                                   static_cast<std::uint16_t>(start + 20),
                                   1400,
                                   start,
                                   kTcpField,
                                   0};
      rig.guest().send(header, data(is_v4, bytes), descriptor_bytes);
      rig.run();
      const std::vector<Bytes> frames = rig.pods_frames();
      EXPECT_EQ(frames.size(), (bytes + 1399) / 1400);
      Bytes joined;
      for (const Bytes& frame : frames) {
        TestPacket packet(frame);
        ASSERT_EQ(packet.parse(), net::Drop::kNone);
        EXPECT_TRUE(net::l4_checksum_is_right(packet->head(), packet->headers));
        joined.insert(joined.end(), frame.begin() + packet->headers.payload_offset, frame.end());
      }
      const Bytes whole = data(is_v4, bytes);
      EXPECT_TRUE(std::ranges::equal(joined, std::span(whole).last(bytes)));
    }
    rig.guest().send({kNeedsChecksum, 0, 0, 0, start, kTcpField, 0}, data(is_v4, 100), 4096);
    rig.run();
    const std::vector<Bytes> frames = rig.pods_frames();
    ASSERT_EQ(frames.size(), 1u);
    TestPacket packet(frames[0]);
    ASSERT_EQ(packet.parse(), net::Drop::kNone);
    EXPECT_TRUE(net::l4_checksum_is_right(packet->head(), packet->headers));
  }
}

/// Of a pod behind AF_XDP, where the field alone says that a checksum is partial.
TEST(VhostOffload, AChecksumIsLeftToAGuestThatTakesIt) {
  for (const std::uint64_t features : {std::uint64_t{0}, HostileGuest::kTakesUnfinished}) {
    Rig rig(features);
    const bool takes = features != 0;
    EXPECT_EQ(rig.guest_port().tx_offload().checksum, takes);
    const Bytes frame =
        eth(kPodMac, kGatewayMac).ipv4("10.244.0.4", "10.244.0.3").udp(7, 8).partial_checksum().payload(99).bytes();
    rig.guest().make_room(2048);
    rig.send_from_pod(frame);
    Bytes got;
    const VirtioNetHeader header = rig.guest().received(got, frame.size());
    EXPECT_EQ(header.flags, takes ? kNeedsChecksum : 0);
    EXPECT_EQ(header.checksum_start, takes ? 34 : 0);
    EXPECT_EQ(header.checksum_offset, takes ? 6 : 0);
    EXPECT_EQ(header.gso_type, VirtioNetHeader::kGsoNone);
    TestPacket packet(got);
    ASSERT_EQ(packet.parse(), net::Drop::kNone);
    EXPECT_EQ(net::l4_checksum_is_partial(packet->head(), packet->headers), takes);
    EXPECT_EQ(net::l4_checksum_is_right(packet->head(), packet->headers), !takes);
    rig.pods_frames();
  }
}

TEST(VhostOffload, AGuestThatTakesItGetsItWhole) {
  for (const bool is_v4 : {true, false}) {
    const Directory directory;
    const auto pool = make_pool(kFrames);
    const auto port = open_vhost(*pool, directory.path + "/pod.sock");
    HostileGuest guest(directory.path + "/pod.sock", HostileGuest::kTakesUnfinished);
    ASSERT_TRUE(wait_for(*port, true));
    const TxOffload takes = port->tx_offload();
    EXPECT_TRUE(takes.checksum && takes.tcp4 && takes.tcp6);
    const Bytes frame = data(is_v4, 50'000);
    std::vector<net::Packet*> segments;
    for (std::size_t at = 0; at < frame.size();) {
      net::Packet* segment = pool->allocate();
      const std::size_t bytes = std::min<std::size_t>(frame.size() - at, 1500);
      std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at), bytes, segment->data);
      segment->head_bytes = static_cast<std::uint32_t>(bytes);
      segment->length_bytes = static_cast<std::uint32_t>(frame.size() - at);
      if (!segments.empty()) segments.back()->next = segment;
      segments.push_back(segment);
      at += bytes;
    }
    net::Packet* first = segments.front();
    first->offload = {.checksum_partial = true, .gso_size_bytes = 1400};
    ASSERT_EQ(net::parse(first->head(), first->length_bytes, first->headers), net::Drop::kNone);
    EXPECT_EQ(port->transmit({&first, 1}), 0u) << "no buffer was offered";
    guest.make_room(65'550);
    EXPECT_EQ(port->transmit({&first, 1}), 1u);
    Bytes got;
    const VirtioNetHeader header = guest.received(got, frame.size());
    EXPECT_EQ(header.flags, kNeedsChecksum);
    EXPECT_EQ(header.gso_type, is_v4 ? VirtioNetHeader::kGsoTcp4 : VirtioNetHeader::kGsoTcp6);
    EXPECT_EQ(header.gso_size_bytes, 1400);
    EXPECT_EQ(header.checksum_start, is_v4 ? 34 : 54);
    EXPECT_EQ(header.checksum_offset, kTcpField);
    EXPECT_EQ(header.header_bytes, is_v4 ? 54 : 74);
    EXPECT_TRUE(std::equal(got.end() - 50'000, got.end(), frame.end() - 50'000));
    EXPECT_EQ(pool->free_count(), kFrames);
    for (net::Packet* const each : segments) EXPECT_EQ(each->next == nullptr, each == segments.back());
  }
}

/// Everything that a header can say, of frames of every kind: the worker comes back, and so does every frame.
TEST(VhostOffload, AGuestThatLiesHarmsItselfAlone) {
  const Bytes frames[] = {
      data(true, 5000),
      data(false, 5000),
      data(true, 100),
      syn(),
      l3().udp(1, 2).partial_checksum().payload(4000).bytes(),
      l3().udp(1, 2).partial_checksum().payload(10).bytes(),
      l3().fragment(0, true).udp(1, 2).payload(64).bytes(),
      l3().fragment(64, false).payload(64).bytes(),
      l3().icmp(8).payload(32).bytes(),
      l3(false).extension(60).tcp(1, 2).payload(3000).bytes(),
      eth(kGuestMac, kGatewayMac).arp(1, kGuestMac, "10.244.0.3", kGatewayMac, "169.254.1.1").bytes(),
      cut(data(true, 100), 40),
      Bytes(14),
      Bytes(1, 0xff),
      Bytes(60, 0xff),
      Bytes(9000, 0x45),
      patch(data(true, 5000), 46, 0xf0),
      patch(data(true, 5000), 14, 0x4f)};
  constexpr std::uint16_t kSizes[] = {0, 1, 1400, 0xffff};
  constexpr std::uint16_t kExtremes[] = {0, 1, kTcpStart, 59, 5000, 0xfffe, 0xffff};
  Rig rig(HostileGuest::kSendsUnfinished);
  for (const Bytes& frame : frames) {
    for (const std::uint8_t flags : Bytes{0, 1, 0xff}) {
      for (const std::uint8_t type : Bytes{0, 1, 3, 4, 5, 0x81, 0xff}) {
        for (const std::uint16_t size : kSizes) {
          for (const std::uint16_t start : kExtremes) {
            const auto other = static_cast<std::uint16_t>(start * 7 + size);
            rig.guest().send({flags, type, other, size, start, static_cast<std::uint16_t>(start ^ other), 0}, frame,
                             2048);
            rig.run(1);
            rig.pods_frames();
          }
        }
      }
    }
  }
  EXPECT_GT(rig.drops(net::Drop::kOffloadBad), 0u);
  EXPECT_GT(rig.guest_port().status().rx_refused, 0u);
  rig.guest().send({}, l3().udp(77, 78).payload(5).bytes(), 2048);
  rig.run();
  EXPECT_EQ(rig.pods_frames().size(), 1u) << "it is served on";
}

TEST(VhostOffload, WhatIsTooMuchForIpIsRefused) {
  Rig rig(HostileGuest::kSendsUnfinished);
  Bytes frame = data(true, 60'000);
  frame.resize(200'000);
  rig.guest().send({kNeedsChecksum, VirtioNetHeader::kGsoTcp4, 54, 1400, kTcpStart, kTcpField, 0}, frame, 50'000);
  rig.run();
  EXPECT_TRUE(rig.pods_frames().empty());
  EXPECT_EQ(rig.guest_port().status().rx_refused, 1u);
}

/// DPDK's own guest, which asks for what its program does.
TEST(VhostOffload, IsNegotiated) {
  struct Row {
    std::vector<std::string> arguments;
    bool takes;
  };
  for (const Row& row : {Row{{}, false}, Row{{"--rx-offloads=0x1c"}, true}}) {  // UDP and TCP checksums, LRO
    const Directory directory;
    const auto pool = make_pool(kFrames);
    const auto port = open_vhost(*pool, directory.path + "/pod.sock");
    const Guest guest("path=" + directory.path + "/pod.sock", 1, row.arguments);
    ASSERT_TRUE(wait_for(*port, true));
    expect_echo(*pool, *port);
    const TxOffload takes = port->tx_offload();
    EXPECT_EQ(takes.checksum, row.takes);
    EXPECT_EQ(takes.tcp4, row.takes);
    EXPECT_EQ(takes.tcp6, row.takes);
  }
}

}  // namespace
}  // namespace millrace::tests
