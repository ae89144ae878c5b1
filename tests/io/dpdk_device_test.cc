// DpdkDevice over drivers that need no hardware: net_pcap on a veth of a real pod, net_ring with itself.
#include "datapath/io/dpdk_device.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/io/port_rig.h"

namespace millrace::datapath::io {
namespace {

using tests::Frame;
using tests::make_pool;
using tests::number_of;
using tests::numbered_frame;
using tests::Pod;
using tests::RawSocket;

std::shared_ptr<DpdkDevice> open_device(MbufPool& pool, const std::string& name, unsigned queues = 1) {
  auto device = DpdkDevice::open(pool, {.device = name, .queues = queues});
  if (!device) throw std::runtime_error(device.error().message);
  return *std::move(device);
}

/// The next packet of the queue; the test fails when there is none.
net::Packet& next_packet(Port& queue) {
  std::array<net::Packet*, 1> one{};
  EXPECT_TRUE(tests::step_until([&] { static_cast<void>(queue.receive(one)); }, [&] { return one[0] != nullptr; }));
  if (one[0] == nullptr) throw std::runtime_error("no packet");
  return *one[0];
}

TEST(DpdkDevice, PcapCarriesFramesOfEveryLengthUnchanged) {
  MILLRACE_NEEDS_ROOT();
  const Pod pod("h0");
  const auto pool = make_pool(4096);
  {
    const auto queue = open_device(*pool, "net_pcap0,iface=h0")->queue(0);
    Port& port = *queue;
    const RawSocket socket(pod);
    std::uint32_t number = 0;
    for (const std::size_t length : {60, 64, 65, 128, 590, 1000, 1279, 1280, 1500, 1514}) {
      const Frame frame = numbered_frame(++number, length);
      ASSERT_TRUE(socket.send(frame));
      net::Packet* packet = &next_packet(port);
      EXPECT_EQ(Frame(packet->data, packet->data + packet->length_bytes), frame);
      EXPECT_GE(packet->headroom_bytes(), 128u);
      ASSERT_EQ(port.transmit({&packet, 1}), 1u);
      EXPECT_EQ(socket.receive(), frame) << length << " bytes back";
    }
  }
  EXPECT_EQ(pool->free_count(), 4096u) << "frames the device had came back";
}

TEST(DpdkDevice, SendsFromWhereTheDataBegins) {
  const auto pool = make_pool(4096);
  {
    const auto queue = open_device(*pool, "net_ring0", 1)->queue(0);
    Port& port = *queue;
    for (const int shift : {-128, -50, -1, 0, 1, 18, 300}) {
      net::Packet* packet = pool->allocate();
      const Frame frame = numbered_frame(static_cast<std::uint32_t>(1000 + shift), 200);
      packet->data += shift;
      tests::write_frame(*packet, frame);
      ASSERT_EQ(port.transmit({&packet, 1}), 1u);
      net::Packet* back = &next_packet(port);
      EXPECT_EQ(Frame(back->data, back->data + back->length_bytes), frame);
      EXPECT_EQ(back->in_port, net::kNoPort);
      pool->release({&back, 1});
    }
  }
  EXPECT_EQ(pool->free_count(), 4096u);
}

TEST(DpdkDevice, EachQueueIsAPort) {
  const auto pool = make_pool(4096);
  const auto device = open_device(*pool, "net_null0", 3);
  ASSERT_EQ(device->queue_count(), 3u);
  for (unsigned i = 0; i < device->queue_count(); ++i) {
    const auto queue = device->queue(i);
    std::array<net::Packet*, kBurst> burst;
    const unsigned count = queue->receive(burst);
    EXPECT_EQ(count, kBurst) << "net_null has always something";
    EXPECT_EQ(queue->transmit(std::span(burst).first(count)), count);
  }
}

TEST(DpdkDevice, HasNoMoreQueuesThanItHas) {
  MILLRACE_NEEDS_ROOT();
  const Pod pod("h1");
  const auto pool = make_pool(4096);
  EXPECT_EQ(open_device(*pool, "net_pcap1,iface=h1", 8)->queue_count(), 1u);
}

TEST(DpdkDevice, ASecondOpenLeavesTheFirstAsItIs) {
  const auto pool = make_pool(4096);
  const auto queue = open_device(*pool, "net_ring4")->queue(0);
  const auto second = DpdkDevice::open(*pool, {.device = "net_ring4"});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().message, "device net_ring4: it is open already");
  net::Packet* packet = pool->allocate();
  tests::write_frame(*packet, numbered_frame(1, 100));
  ASSERT_EQ(queue->transmit({&packet, 1}), 1u);
  net::Packet* back = &next_packet(*queue);
  pool->release({&back, 1});
}

TEST(DpdkDevice, OpensAgainAfterItWasClosed) {
  const auto pool = make_pool(4096);
  for (int round = 0; round < 3; ++round) {
    const auto queue = open_device(*pool, "net_ring3")->queue(0);
    net::Packet* packet = pool->allocate();
    tests::write_frame(*packet, numbered_frame(1, 100));
    ASSERT_EQ(queue->transmit({&packet, 1}), 1u);
    net::Packet* back = &next_packet(*queue);
    pool->release({&back, 1});
  }
  EXPECT_EQ(pool->free_count(), 4096u);
}

TEST(DpdkDevice, SaysWhatIsWrong) {
  const auto pool = make_pool(4096);
  const auto error_of = [&](const std::string& device) {
    auto opened = DpdkDevice::open(*pool, {.device = device});
    return opened ? std::string() : opened.error().message;
  };
  EXPECT_NE(error_of("net_nothing0").find("device net_nothing0: DPDK makes none"), std::string::npos);
  EXPECT_NE(error_of("0000:99:00.0").find("it is not bound to vfio-pci"), std::string::npos);
  EXPECT_NE(error_of("net_pcap7,iface=nowhere").find("device net_pcap7"), std::string::npos);
  EXPECT_EQ(pool->free_count(), 4096u);
}

/// Whoever is at the other end chooses the size; the device has it in a chain of frames.
TEST(DpdkDevice, WhatFitsNoFrameIsCountedAndDropped) {
  MILLRACE_NEEDS_ROOT();
  const Pod pod("h2", "mtu 9000", "mtu 9000");
  const auto pool = make_pool(4096);
  {
    const auto queue = open_device(*pool, "net_pcap2,iface=h2")->queue(0);
    const RawSocket socket(pod);
    ASSERT_TRUE(socket.send(numbered_frame(1, 8000)));
    std::array<net::Packet*, kBurst> burst;
    unsigned count = 0;
    const auto is_counted = [&] { return queue->device().statistics().rx_errors == 1; };
    EXPECT_TRUE(tests::step_until([&] { count += queue->receive(burst); }, is_counted));
    EXPECT_EQ(count, 0u);
    ASSERT_TRUE(socket.send(numbered_frame(2, 1000)));
    net::Packet* packet = &next_packet(*queue);
    EXPECT_EQ(packet->length_bytes, 1000u);
    pool->release({&packet, 1});
  }
  EXPECT_EQ(pool->free_count(), 4096u);
}

TEST(DpdkDevice, KnowsPciAddresses) {
  for (const char* device : {"0000:3b:00.0", "3b:00.1", "0000:3b:00.0,arg=1"}) EXPECT_TRUE(is_pci_device(device));
  for (const char* device : {"net_pcap0,iface=eth1", "eth0", "3b:00.9", ""}) EXPECT_FALSE(is_pci_device(device));
}

}  // namespace
}  // namespace millrace::datapath::io
