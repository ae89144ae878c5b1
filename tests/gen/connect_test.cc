// Clients and the server over a wire in memory: whole connections, and every way in which they fail.
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <set>

#include "datapath/memory_port.h"
#include "net/checksum.h"
#include "net/wire.h"
#include "perf/gen/connect/loop.h"

namespace millrace::perf::gen {
namespace {

constexpr std::uint64_t kMs = 1'000'000;

class HandClock final : public Clock {
 public:
  std::uint64_t now_ns() noexcept override { return now += 1000; }
  std::uint64_t now = 0;
};

/// One end of a wire; `on_way` sees what goes out, may change it, and drops it when it says false.
class End final : public datapath::Port {
 public:
  End(datapath::PacketPool& pool) : pool_(pool) {}
  ~End() override { pool_.release(std::vector<net::Packet*>(arrived_.begin(), arrived_.end())); }
  unsigned receive(std::span<net::Packet*> out) noexcept override {
    unsigned count = 0;
    for (; count < out.size() && !arrived_.empty(); ++count) {
      out[count] = arrived_.front();
      arrived_.pop_front();
    }
    return count;
  }
  unsigned transmit(std::span<net::Packet* const> packets) noexcept override {
    for (net::Packet* const packet : packets) {
      net::Headers headers;
      EXPECT_EQ(net::parse(packet->head(), packet->length_bytes, headers), net::Drop::kNone);
      EXPECT_TRUE(net::l4_checksum_is_right(packet->head(), headers));
      EXPECT_GE(packet->length_bytes, 60u);
      ++sent;
      if (on_way && !on_way(*packet, headers)) {
        pool_.release({&packet, 1});
      } else {
        other->arrived_.push_back(packet);
        if (following_ != nullptr) other->arrived_.push_back(following_);
        following_ = nullptr;
      }
    }
    return static_cast<unsigned>(packets.size());
  }
  /// Goes out behind the packet that `on_way` sees.
  void follow(net::Packet* packet) { following_ = packet; }
  End* other = nullptr;
  std::function<bool(net::Packet&, const net::Headers&)> on_way;
  std::uint64_t sent = 0;

 private:
  datapath::PacketPool& pool_;
  std::deque<net::Packet*> arrived_;
  net::Packet* following_ = nullptr;
};

std::uint8_t flags_of(const net::Packet& packet, const net::Headers& headers) {
  return net::view<net::TcpHeader>(packet.head().data() + headers.l4_offset).flags;
}

struct World {
  datapath::MemoryPool pool{8192};
  HandClock clock;
  End client{pool}, server{pool};
  ClientOptions options;

  World() {
    client.other = &server;
    server.other = &client;
    options.ends = {.source_mac = *net::Mac::parse("02:00:00:00:00:01"),
                    .destination_mac = *net::Mac::parse("02:00:00:00:00:02"),
                    .source = *net::IpAddress::parse("10.0.0.1"),
                    .destination = *net::IpAddress::parse("10.0.0.2"),
                    .source_port = 0,
                    .destination_port = 80};
    options.timeout_ns = 2 * kMs;
    options.slots = 1000;
  }
  ClientCounts run(double rate, std::uint64_t packets = 0) {
    const std::atomic<bool> stop{false};
    ConnectLoop loop(pool, clock, client, &server, options, Schedule(rate, 1, 0, packets));
    loop.run(10 * kMs, 20 * kMs, stop);
    connect_ns = loop.clients().connect_ns();
    response_ns = loop.clients().response_ns();
    return loop.clients().counts();
  }
  Histogram connect_ns, response_ns;
};

TEST(Connect, EveryConnectionGoesFromSynToTheLastAck) {
  World world;
  const ClientCounts counts = world.run(100'000);
  EXPECT_EQ(counts.due, 1000u);
  EXPECT_EQ(counts.completed, 1000u);
  EXPECT_EQ(counts.failed() + counts.strays + counts.open, 0u);
  EXPECT_EQ(world.client.sent, 4000u) << "SYN, request, FIN, ACK";
  EXPECT_EQ(world.server.sent, 3000u) << "SYN ACK, response, FIN ACK";
  EXPECT_EQ(world.connect_ns.count(), 1000u);
  EXPECT_EQ(world.response_ns.count(), 1000u);
}

/// A pause of the generator over the end of the time: what could not be opened has failed, and is not forgotten.
TEST(Connect, WhatIsDueAndNotOpenedIsUnopened) {
  World world;
  ConnectLoop loop(world.pool, world.clock, world.client, &world.server, world.options, Schedule(100'000, 1, 0, 0));
  const std::atomic<bool> stop{false};
  world.client.on_way = [&](net::Packet&, const net::Headers&) {
    if (world.client.sent == 100) world.clock.now += 30 * kMs;  // the time is over by then
    return true;
  };
  loop.run(10 * kMs, 20 * kMs, stop);
  const ClientCounts& counts = loop.clients().counts();
  EXPECT_EQ(counts.due + loop.unopened(), 1000u);
  EXPECT_GT(loop.unopened(), 900u);
}

TEST(Connect, APauseOverTheEndIsMadeUpFor) {
  World world;
  ConnectLoop loop(world.pool, world.clock, world.client, &world.server, world.options, Schedule(100'000, 1, 0, 0));
  const std::atomic<bool> stop{false};
  world.client.on_way = [&](net::Packet&, const net::Headers&) {
    if (world.clock.now > 9 * kMs && world.clock.now < 10 * kMs) world.clock.now = 11 * kMs;
    return true;
  };
  loop.run(10 * kMs, 20 * kMs, stop);
  EXPECT_EQ(loop.unopened(), 0u);
  EXPECT_EQ(loop.clients().counts().completed, 1000u);
}

TEST(Connect, GivesEveryPacketBack) {
  World world;
  world.run(100'000);
  EXPECT_EQ(world.pool.free_count(), world.pool.size());
}

TEST(Connect, UdpIsARequestAndItsResponse) {
  World world;
  world.options.udp = true;
  const ClientCounts counts = world.run(100'000);
  EXPECT_EQ(counts.completed, 1000u);
  EXPECT_EQ(world.client.sent, 1000u);
}

struct Failure {
  const char* name;
  std::uint8_t lost_from_server;  // flags of the answer that the wire loses
  std::uint64_t ClientCounts::*counted;
};

TEST(Connect, WhatDoesNotAnswerIsCountedWhereItStopped) {
  using net::TcpHeader;
  const Failure table[] = {
      {"no SYN ACK", TcpHeader::kSyn | TcpHeader::kAck, &ClientCounts::no_connection},
      {"no response", TcpHeader::kPsh | TcpHeader::kAck, &ClientCounts::no_response},
      {"no FIN ACK", TcpHeader::kFin | TcpHeader::kAck, &ClientCounts::no_close},
  };
  for (const Failure& row : table) {
    World world;
    const std::uint8_t lost = row.lost_from_server;
    world.server.on_way = [lost](net::Packet& packet, const net::Headers& headers) {
      return flags_of(packet, headers) != lost || headers.destination_port % 4 != 0;
    };
    const ClientCounts counts = world.run(100'000);
    EXPECT_EQ(counts.*row.counted, 250u) << row.name;
    EXPECT_EQ(counts.failed(), 250u) << row.name;
    EXPECT_EQ(counts.completed, 750u) << row.name;
  }
}

TEST(Connect, AResetEndsAConnection) {
  World world;
  world.server.on_way = [](net::Packet& packet, const net::Headers& headers) {
    auto& tcp = net::view<net::TcpHeader>(packet.data + headers.l4_offset);
    if (headers.destination_port % 2 == 0) tcp.flags = net::TcpHeader::kRst;
    return true;
  };
  EXPECT_EQ(world.run(100'000).reset, 500u);
}

TEST(Connect, MoreThanThereAreSlotsIsRefusedAndCounted) {
  World world;
  world.options.slots = 10;
  world.options.hold_ns = 5 * kMs;
  const ClientCounts counts = world.run(10'000);
  EXPECT_EQ(counts.due, 100u);
  EXPECT_EQ(counts.most_open, 10u);
  EXPECT_GT(counts.refused, 50u);
  EXPECT_EQ(counts.completed + counts.refused, 100u);
}

TEST(Connect, HeldConnectionsAreOpenTogether) {
  World world;
  world.options.hold_ns = 9 * kMs;
  const ClientCounts counts = world.run(100'000, 800);
  EXPECT_EQ(counts.most_open, 800u);
  EXPECT_EQ(counts.completed, 800u);
}

TEST(Connect, ATupleRestsUntilAllOthersWereUsed) {
  World world;
  world.options.slots = 500;
  std::vector<std::uint16_t> ports;
  world.client.on_way = [&](net::Packet& packet, const net::Headers& headers) {
    if (flags_of(packet, headers) == net::TcpHeader::kSyn) ports.push_back(headers.source_port);
    return true;
  };
  EXPECT_EQ(world.run(100'000).completed, 1000u);
  EXPECT_EQ(std::set<std::uint16_t>(ports.begin(), ports.begin() + 500).size(), 500u);
}

TEST(Connect, AsFastAsSlotsBecomeFreeRefusesNone) {
  World world;
  world.options.slots = 20;
  const ClientCounts counts = world.run(0);
  EXPECT_EQ(counts.refused, 0u);
  EXPECT_GT(counts.completed, 5000u);
  EXPECT_EQ(counts.completed, counts.due);
}

struct Kind {
  const char* name;
  std::function<void(ClientOptions&)> change;
};

TEST(Connect, OverEveryFamilyAndThroughTags) {
  const auto over_ipv6 = [](ClientOptions& options) {
    options.ends.source = *net::IpAddress::parse("fd00::ffff");  // its second client is fd00::1:0
    options.ends.destination = *net::IpAddress::parse("fd00::2:1");
    options.slots = 61'000;
  };
  const auto through_tags = [](ClientOptions& options) {
    options.ends.vlan_count = 2;
    options.ends.vlans = {net::Be16(7), net::Be16(0x6008)};
  };
  const Kind kinds[] = {{"IPv6", over_ipv6}, {"VLAN", through_tags}, {"IPv6 and VLAN", [&](ClientOptions& options) {
                                                                        over_ipv6(options);
                                                                        through_tags(options);
                                                                      }}};
  for (const Kind& kind : kinds) {
    for (const bool udp : {false, true}) {
      World world;
      kind.change(world.options);
      world.options.udp = udp;
      world.options.hold_ns = udp ? 0 : 50 * kMs;
      std::set<int> tags;
      world.server.on_way = [&](net::Packet&, const net::Headers& headers) {
        tags.insert(headers.vlan_count * 100 + headers.vlan_id);
        return true;
      };
      const ClientCounts counts = world.run(6'050'000);
      EXPECT_EQ(counts.no_connection + counts.no_response + counts.reset + counts.strays, 0u) << kind.name;
      EXPECT_GT(counts.completed + counts.open, 500u) << kind.name;
      EXPECT_EQ(tags, (std::set<int>{world.options.ends.vlan_count == 0 ? 0 : 207})) << kind.name;
    }
  }
}

TEST(Connect, AResponseHasTheBytesThatWereAskedFor) {
  for (const bool udp : {false, true}) {
    World world;
    world.options.udp = udp;
    world.options.request_bytes = 100;
    world.options.response_bytes = 1300;
    std::set<std::uint32_t> lengths;
    world.server.on_way = [&](net::Packet&, const net::Headers& headers) {
      const std::uint32_t payload = headers.l3_length - (headers.payload_offset - headers.l3_offset);
      if (payload != 0) lengths.insert(payload);
      return true;
    };
    EXPECT_EQ(world.run(100'000).completed, 1000u);
    EXPECT_EQ(lengths, std::set<std::uint32_t>{1300});
  }
}

/// A server of somebody else's answers in segments of its own sizes.
TEST(Connect, AResponseMayComeInSegments) {
  World world;
  world.options.response_bytes = 128;
  world.server.on_way = [&](net::Packet& packet, const net::Headers& headers) {
    if (flags_of(packet, headers) != (net::TcpHeader::kPsh | net::TcpHeader::kAck)) return true;
    net::Packet* const rest = world.pool.allocate();
    Ends ends = ends_of_answer(packet.data, headers);
    std::swap(ends.source, ends.destination);
    std::swap(ends.source_mac, ends.destination_mac);
    std::swap(ends.source_port, ends.destination_port);
    const auto& tcp = net::view<net::TcpHeader>(packet.data + headers.l4_offset);
    Segment half{.flags = tcp.flags,
                 .sequence = tcp.sequence.host() + 64,
                 .acknowledgment = tcp.acknowledgment.host(),
                 .payload_bytes = 64};
    rest->head_bytes = rest->length_bytes = write_segment(rest->data, ends, half);
    half.sequence -= 64;
    packet.head_bytes = packet.length_bytes = write_segment(packet.data, ends, half);
    world.server.follow(rest);
    return true;
  };
  const ClientCounts counts = world.run(100'000);
  EXPECT_EQ(counts.completed, 1000u);
  EXPECT_EQ(counts.strays, 0u);
}

TEST(Connect, ManyClientsHaveAddressesOfTheirOwn) {
  World world;
  world.options.slots = 130'000;
  world.options.hold_ns = 60 * kMs;
  std::set<std::uint32_t> addresses;
  world.client.on_way = [&](net::Packet& packet, const net::Headers& headers) {
    addresses.insert(net::view<net::Ipv4Header>(packet.data + headers.l3_offset).source.value.host());
    return true;
  };
  const ClientCounts counts = world.run(13'000'000);
  EXPECT_EQ(addresses, (std::set<std::uint32_t>{0x0a000001, 0x0a000002, 0x0a000003}));
  EXPECT_EQ(counts.no_connection + counts.no_response, 0u);
}

}  // namespace
}  // namespace millrace::perf::gen
