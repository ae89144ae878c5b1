// The sending and receiving loop over devices in memory and a clock that the test moves.
#include "perf/gen/run/engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <functional>

#include "datapath/memory_port.h"
#include "net/ip_header.h"
#include "perf/gen/run/turn_round.h"
#include "perf/gen/stream/profile.h"

namespace millrace::perf::gen {
namespace {

class HandClock final : public Clock {
 public:
  std::uint64_t now_ns() noexcept override { return now += step; }
  std::uint64_t now = 0, step = 0;
};

/// A wire: what goes in at one end comes out at the other after a delay, unless `on_way` drops or changes it.
class Wire final : public datapath::Port {
 public:
  Wire(datapath::PacketPool& pool, HandClock& clock) : pool_(pool), clock_(clock) {}
  ~Wire() override {
    for (const auto& [packet, at] : flying_) pool_.release({&packet, 1});
  }
  void connect(Wire& other) { other_ = &other; }
  unsigned receive(std::span<net::Packet*> out) noexcept override {
    unsigned count = 0;
    while (count < out.size() && !flying_.empty() && flying_.front().second <= clock_.now) {
      out[count++] = flying_.front().first;
      flying_.pop_front();
    }
    return count;
  }
  unsigned transmit(std::span<net::Packet* const> packets) noexcept override {
    unsigned taken = 0;
    for (net::Packet* const packet : packets.first(std::min<std::size_t>(packets.size(), takes_at_most))) {
      if (clock_.now < free_at_ns_) break;
      free_at_ns_ = gap_ns == 0 ? 0 : std::max(free_at_ns_, clock_.now - clock_.now % gap_ns) + gap_ns;
      ++taken;
      ++number_;
      if (on_way && !on_way(*packet, number_)) {
        pool_.release({&packet, 1});
      } else {
        insert(packet);
      }
    }
    return taken;
  }
  void insert(net::Packet* packet) { other_->flying_.emplace_back(packet, clock_.now + delay_ns); }
  void swap_last_two() { std::swap(flying_.back().first, (flying_.end() - 2)->first); }

  std::function<bool(net::Packet&, std::uint64_t)> on_way;
  std::size_t takes_at_most = 64;  // a call
  std::uint64_t gap_ns = 0;        // between two packets that it takes
  std::uint64_t delay_ns = 2000;

 private:
  datapath::PacketPool& pool_;
  HandClock& clock_;
  std::uint64_t free_at_ns_ = 0;
  Wire* other_ = this;
  std::deque<std::pair<net::Packet*, std::uint64_t>> flying_;
  std::uint64_t number_ = 0;
};

constexpr std::uint64_t kMs = 1'000'000;

struct Bench {
  datapath::MemoryPool pool{8192};
  HandClock clock;
  Wire left{pool, clock}, right{pool, clock};

  EngineStream stream(const std::string& keys, std::uint64_t packets = 0) {
    const auto profile = profile_from_text("streams: [{" + keys + "}]");
    if (!profile) throw std::runtime_error(profile.error().message);
    const StreamDescription& description = profile->streams[0];
    auto compiled = Stream::compile(description);
    if (!compiled) throw std::runtime_error(compiled.error().message);
    const double pps = packets_per_second(description, profile->link_bps);
    return {.source = std::make_unique<StreamSource>(*std::move(compiled)),
            .schedule = Schedule(pps, description.burst, 0, packets)};
  }

  /// Runs to the end, a microsecond a turn.
  StreamResult run(EngineStream made, std::vector<EnginePort> ports, EngineOptions options,
                   PortResult* first_port = nullptr) {
    TrialState trial(1);
    options.trial = &trial;
    options.stream_count = 1;
    if (options.end_ns == 0) options.end_ns = 10 * kMs;
    options.drain_ns = 5 * kMs;
    clock.step = 1000;
    std::vector<EngineStream> streams;
    streams.push_back(std::move(made));
    StreamResult result;
    Engine engine(pool, clock, std::move(ports), std::move(streams), options);
    const std::atomic<bool> stop{false};
    engine.run(stop);
    engine.add_result(0, result);
    if (first_port != nullptr) *first_port = engine.port_result(0);
    return result;
  }
};

TEST(Engine, SendsWhatIsDueAndTimesTheWay) {
  Bench bench;
  const StreamResult result = bench.run(bench.stream("rate: 1Mpps, flows: 100"), {{.port = &bench.left}}, {});
  EXPECT_EQ(result.due, 10'000u);
  EXPECT_EQ(result.sent, 10'000u);
  EXPECT_EQ(result.received.received, 10'000u);
  EXPECT_EQ(result.received.bytes, 640'000u);
  EXPECT_EQ(result.lost(), 0u);
  EXPECT_NEAR(static_cast<double>(result.latency.percentile(50)), 2000, 1000);
  EXPECT_LE(bench.clock.now / kMs, 11u) << "it waits no longer than for the last packet";
}

TEST(Engine, GivesEveryPacketBack) {
  Bench bench;
  bench.left.takes_at_most = 7;
  bench.run(bench.stream("rate: max"), {{.port = &bench.left}}, {.end_ns = kMs});
  std::array<net::Packet*, 64> rest;
  bench.clock.now += kMs;
  while (const unsigned count = bench.left.receive(rest)) bench.pool.release(std::span(rest).first(count));
  EXPECT_EQ(bench.pool.free_count(), bench.pool.size());
}

/// A pause of the generator or of the device is seen by every packet that was due in it.
TEST(Engine, APauseIsTheLatencyOfAllThatWasDueInIt) {
  Bench bench;
  TrialState trial(1);
  std::vector<EngineStream> streams;
  streams.push_back(bench.stream("rate: 1Mpps"));
  Engine engine(bench.pool, bench.clock, {{.port = &bench.left}}, std::move(streams),
                {.stream_count = 1, .end_ns = 20 * kMs, .trial = &trial});
  for (bench.clock.now = 0; bench.clock.now < 5 * kMs; bench.clock.now += 1000) engine.turn(bench.clock.now);
  bench.clock.now += 5 * kMs;
  for (; bench.clock.now < 21 * kMs; bench.clock.now += 1000) engine.turn(bench.clock.now);
  StreamResult result;
  engine.add_result(0, result);
  EXPECT_EQ(result.received.received, 20'000u);
  EXPECT_GT(result.latency.most(), 5 * kMs);
  // 5000 of 20000 were due in the pause and waited between 0 and 5 ms.
  EXPECT_NEAR(static_cast<double>(result.latency.percentile(87.5)), 2.5e6, 0.2e6);
  EXPECT_LT(result.latency.percentile(74), 10'000u);
}

TEST(Engine, WhatTheDeviceDoesNotTakeInTimeIsLost) {
  Bench bench;
  bench.left.gap_ns = 2000;  // half a million a second
  TrialState trial(1);
  std::vector<EngineStream> streams;
  streams.push_back(bench.stream("rate: 1Mpps"));
  Engine engine(bench.pool, bench.clock, {{.port = &bench.left}}, std::move(streams),
                {.stream_count = 1, .end_ns = 10 * kMs, .trial = &trial});
  for (bench.clock.now = 0; bench.clock.now < 11 * kMs; bench.clock.now += 1000) engine.turn(bench.clock.now);
  StreamResult result;
  engine.add_result(0, result);
  EXPECT_EQ(result.due, 10'000u);
  EXPECT_NEAR(static_cast<double>(result.sent), 5000, 100);
  EXPECT_EQ(result.received.received, result.sent);
  EXPECT_EQ(result.lost(), result.due - result.sent) << "unsent packets are lost packets";
}

TEST(Engine, CountsLossReorderingDuplicatesAndDamageApart) {
  Bench bench;
  bench.left.delay_ns = 20'000;  // so that some are always on the way
  bench.left.on_way = [&](net::Packet& packet, std::uint64_t number) {
    if (number % 100 == 41) return false;                                      // lost
    if (number % 100 == 42) packet.data[packet.head_bytes - 20] ^= 0x40;       // damaged
    if (number % 100 == 43) packet.data[packet.head_bytes - Tag::kBytes] = 0;  // not ours any more
    if (number % 100 == 48) bench.left.swap_last_two();
    if (number % 100 == 50) {
      net::Packet* const copy = bench.pool.allocate();
      copy->head_bytes = copy->length_bytes = packet.length_bytes;
      std::copy_n(packet.data, packet.length_bytes, copy->data);
      bench.left.insert(copy);
    }
    return true;
  };
  PortResult port;
  const StreamResult result =
      bench.run(bench.stream("rate: 1Mpps, size: 100"), {{.port = &bench.left}}, {.verify_headers = true}, &port);
  EXPECT_EQ(result.due, 10'000u);
  EXPECT_EQ(result.received.received, 9'700u);
  EXPECT_EQ(port.damaged, 100u);
  EXPECT_EQ(port.foreign, 100u);
  EXPECT_EQ(port.bad_headers, 0u);
  EXPECT_EQ(port.received, 10'000u);
  EXPECT_EQ(result.lost(), 300u);
  EXPECT_EQ(result.received.reordered, 100u);
  EXPECT_EQ(result.received.most_extent, 1u);
  EXPECT_EQ(result.received.duplicates, 100u);
}

TEST(Engine, KnowsPacketsOfAnEarlierTrial) {
  Bench bench;
  PortResult port;
  bench.run(bench.stream("rate: 1Mpps"), {{.port = &bench.left}}, {.epoch = 1, .end_ns = kMs, .drain_ns = 0}, &port);
  const StreamResult second = bench.run(bench.stream("rate: 1kpps"), {{.port = &bench.left}},
                                        {.epoch = 2, .end_ns = bench.clock.now + 10}, &port);
  EXPECT_EQ(second.received.duplicates, 0u);
}

TEST(Engine, SeesHeadersThatBecameWrong) {
  Bench bench;
  bench.left.on_way = [](net::Packet& packet, std::uint64_t number) {
    if (number % 10 == 0) packet.data[29] ^= 1;  // source address, checksums left as they were
    return true;
  };
  PortResult port;
  bench.run(bench.stream("rate: 1Mpps"), {{.port = &bench.left}}, {.verify_headers = true}, &port);
  EXPECT_EQ(port.bad_headers, 1000u);
}

TEST(Engine, BurstsAreDueTogetherAndTheRateHolds) {
  Bench bench;
  const StreamResult result = bench.run(bench.stream("rate: 1Mpps, burst: 50"), {{.port = &bench.left}}, {});
  EXPECT_EQ(result.due, 10'000u);
  EXPECT_EQ(result.received.received, 10'000u);
}

TEST(Engine, EndsAfterSoManyPackets) {
  Bench bench;
  const StreamResult result = bench.run(bench.stream("rate: max", 777), {{.port = &bench.left}}, {});
  EXPECT_EQ(result.sent, 777u);
  EXPECT_EQ(result.received.received, 777u);
  EXPECT_LT(bench.clock.now, 3 * kMs) << "without waiting for the time to be over";
}

TEST(Engine, PaddingBehindThePacketDoesNotHideTheTag) {
  Bench bench;
  bench.left.on_way = [](net::Packet& packet, std::uint64_t) {
    std::fill_n(packet.data + packet.head_bytes, 6, std::uint8_t{0});
    packet.length_bytes = packet.head_bytes += 6;
    return true;
  };
  const StreamResult result = bench.run(bench.stream("rate: 100kpps"), {{.port = &bench.left}}, {});
  EXPECT_EQ(result.received.received, 1000u);
}

/// A translator on the way, as a masquerading switch is: what goes right gets another source, and only what comes back
/// to that goes left again.
TEST(Engine, AnEchoPortAnswersToWhereThePacketWasSeenToComeFrom) {
  Bench bench;
  bench.left.connect(bench.right);
  bench.right.connect(bench.left);
  const net::Ipv4 outside = *net::Ipv4::parse("203.0.113.5");
  const auto translate = [&](net::Packet& packet, bool to_right) {
    net::Headers headers;
    if (net::parse(packet.head(), packet.length_bytes, headers) != net::Drop::kNone) return false;
    auto& ip = net::view<net::Ipv4Header>(packet.data + headers.l3_offset);
    auto& udp = net::view<net::UdpHeader>(packet.data + headers.l4_offset);
    if (!to_right && ip.destination != outside) return false;
    net::Ipv4& address = to_right ? ip.source : ip.destination;
    const net::Ipv4 inside = *net::Ipv4::parse("198.18.0.1");
    const net::Ipv4 after = to_right ? outside : inside;
    ip.checksum = net::update_checksum(ip.checksum, address, after);
    udp.checksum = net::update_checksum(udp.checksum, address, after);
    address = after;
    return true;
  };
  bench.left.on_way = [&](net::Packet& packet, std::uint64_t) { return translate(packet, true); };
  bench.right.on_way = [&](net::Packet& packet, std::uint64_t) { return translate(packet, false); };
  PortResult port;
  const StreamResult result =
      bench.run(bench.stream("rate: 500kpps, flows: 50"), {{.port = &bench.left}, {.port = &bench.right, .echo = true}},
                {.verify_headers = true}, &port);
  EXPECT_EQ(result.due, 5000u);
  EXPECT_EQ(result.received.received, 5000u);
  EXPECT_EQ(port.bad_headers, 0u);
  EXPECT_GE(result.latency.least(), 4000u) << "there and back";
}

TEST(TurnRound, MakesARightAnswerOfEveryKind) {
  datapath::MemoryPool pool(8);
  const std::string tunnel =
      "vxlan: {vni: 5, source-mac: '02:00:00:00:01:01', destination-mac: '02:00:00:00:01:02', source-ip: 192.0.2.1, "
      "destination-ip: 192.0.2.2}";
  const std::string tunnel6 =
      "vxlan: {vni: 5, source-mac: '02:00:00:00:01:01', destination-mac: '02:00:00:00:01:02', source-ip: "
      "'2001:db8::1', "
      "destination-ip: '2001:db8::2'}";
  const std::string v6 = "source-ip: 'fd00::1', destination-ip: 'fd00::2'";
  for (const std::string& keys :
       {std::string("protocol: udp"), std::string("protocol: tcp, size: 100"), std::string("protocol: sctp, size: 100"),
        std::string("protocol: icmp"), "size: 100, " + v6, "protocol: icmp, size: 100, " + v6,
        std::string("vlan: [7, 8], size: 100"), "size: 100, " + tunnel, "size: 100, " + v6 + ", " + tunnel,
        "size: 100, " + tunnel6, "size: 100, " + v6 + ", " + tunnel6, "protocol: sctp, size: 100, " + tunnel6}) {
    auto stream = Stream::compile(profile_from_text("streams: [{" + keys + "}]")->streams[0]);
    net::Packet* packet = pool.allocate();
    packet->head_bytes = packet->length_bytes = stream->build(packet->data, {.sequence = 9});
    net::Headers before, after;
    ASSERT_EQ(net::parse(packet->head(), packet->length_bytes, before), net::Drop::kNone);
    const net::Mac source = net::view<net::EthernetHeader>(packet->data).source;
    ASSERT_TRUE(turn_round(*packet)) << keys;
    ASSERT_EQ(net::parse(packet->head(), packet->length_bytes, after), net::Drop::kNone);
    EXPECT_EQ(net::view<net::EthernetHeader>(packet->data).destination, source) << keys;
    const bool inside = keys.find("vxlan") != std::string::npos;
    if (inside) {
      const std::size_t offset = after.payload_offset + sizeof(net::VxlanHeader);
      EXPECT_EQ(after.destination_port, 4789);
      EXPECT_TRUE(net::l4_checksum_is_right(packet->head(), after)) << keys;
      ASSERT_EQ(
          net::parse(packet->head().subspan(offset), packet->length_bytes - static_cast<std::uint32_t>(offset), after),
          net::Drop::kNone);
      EXPECT_EQ(after.source_port, 8080);
      EXPECT_TRUE(net::l4_checksum_is_right(packet->head().subspan(offset), after)) << keys;
    } else {
      EXPECT_EQ(after.source_port, before.destination_port) << keys;
      EXPECT_TRUE(net::l4_checksum_is_right(packet->head(), after)) << keys;
    }
    Tag tag;
    EXPECT_EQ(read_tag(packet->head(), tag), TagFound::kRight) << keys;
    EXPECT_EQ(tag.sequence, 9u);
    pool.release({&packet, 1});
  }
}

TEST(Schedule, CountsWhatIsDueAsIfItHadBeenTaken) {
  for (const double pps : {1.0, 999.0, 1e6, 14'880'952.0}) {
    for (const std::uint32_t burst : {1u, 7u, 64u}) {
      for (const std::uint64_t limit : {0ull, 10ull, 100'000ull}) {
        Schedule taken(pps, burst, 500, limit), counted(pps, burst, 500, limit);
        const std::uint64_t end = 500 + 3'000'017;
        while (taken.is_due(end - 1)) taken.take(end - 1);
        EXPECT_EQ(counted.due_before(end), taken.taken()) << pps << " in bursts of " << burst << ", limit " << limit;
        EXPECT_EQ(taken.due_before(end), taken.taken());
      }
    }
  }
}

TEST(Schedule, DoesNotDrift) {
  Schedule schedule(14'880'952.38, 1, 0, 0);
  EXPECT_NEAR(static_cast<double>(schedule.due_before(3600'000'000'000)), 14'880'952.38 * 3600, 100);
}

TEST(Schedule, ARecordingBeginsAgain) {
  const std::array<std::uint64_t, 3> times = {0, 10, 40};
  Schedule schedule(Recording{.times_ns = times, .period_ns = 60}, 1000, 0);
  std::vector<std::uint64_t> due;
  while (schedule.is_due(1130)) due.push_back(schedule.take(1130));
  EXPECT_EQ(due, (std::vector<std::uint64_t>{1000, 1010, 1040, 1060, 1070, 1100, 1120, 1130}));
  EXPECT_EQ(schedule.due_before(1131), 8u);
}

}  // namespace
}  // namespace millrace::perf::gen
