// Streams as they go onto the wire, judged by the switch's own parser and checksums.
#include "perf/gen/stream/stream.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "net/checksum.h"
#include "net/parser.h"
#include "net/wire.h"
#include "perf/gen/stream/profile.h"

namespace millrace::perf::gen {
namespace {

using Frame = std::vector<std::uint8_t>;

Stream stream_of(const std::string& keys) {
  auto profile = profile_from_text("streams: [{" + keys + "}]");
  if (!profile) throw std::runtime_error(profile.error().message);
  auto stream = Stream::compile(profile->streams[0]);
  if (!stream) throw std::runtime_error(stream.error().message);
  return *std::move(stream);
}

std::string error_of(const std::string& keys) {
  const auto profile = profile_from_text("streams: [{" + keys + "}]");
  if (!profile) return profile.error().message;
  const auto stream = Stream::compile(profile->streams[0]);
  return stream ? std::string() : stream.error().message;
}

Frame build(Stream& stream, std::uint32_t sequence) {
  Frame frame(stream.frame_bytes_most(), 0xee);  // what lay there before must not show
  frame.resize(stream.build(frame.data(), {.epoch = 7, .stream = 3, .sequence = sequence, .time_ns = 0x123456789abc}));
  return frame;
}

net::Headers headers_of(const Frame& frame) {
  net::Headers headers;
  const net::Drop drop = net::parse(frame, static_cast<std::uint32_t>(frame.size()), headers);
  EXPECT_EQ(drop, net::Drop::kNone);
  return headers;
}

void expect_right_checksums(const Frame& frame, const net::Headers& headers, const std::string& what) {
  if (headers.l3 == net::L3::kIpv4) {
    EXPECT_TRUE(net::ipv4_checksum_is_right(net::view<net::Ipv4Header>(frame.data() + headers.l3_offset))) << what;
  }
  EXPECT_TRUE(net::l4_checksum_is_right(frame, headers)) << what;
  EXPECT_EQ(headers.l3_offset + headers.l3_length, frame.size()) << what << ": no padding";
}

constexpr const char* kIpv6 = "source-ip: 'fd00::1', destination-ip: 'fd00::2'";

TEST(Stream, EveryKindOfPacketIsWholeAndRight) {
  const std::array<const char*, 2> families = {"ttl: 64", kIpv6};
  const std::array<const char*, 3> tags = {"dscp: 46", "vlan: {id: 100, priority: 5}", "vlan: [200, 100]"};
  for (const char* protocol : {"udp", "tcp", "sctp", "icmp"}) {
    for (const char* family : families) {
      for (const char* tag : tags) {
        for (const int size : {108, 109, 590, 1501, 1514}) {
          const std::string keys =
              fmt::format("protocol: {}, {}, {}, size: {}, flows: 1000", protocol, family, tag, size);
          Stream stream = stream_of(keys);
          for (std::uint32_t i = 0; i < 50; ++i) {
            const Frame frame = build(stream, i);
            ASSERT_EQ(frame.size(), static_cast<std::size_t>(size));
            const net::Headers headers = headers_of(frame);
            expect_right_checksums(frame, headers, keys);
            EXPECT_EQ(headers.source_port, 1024 + i) << keys;
            Tag read;
            ASSERT_EQ(read_tag(frame, read), TagFound::kRight) << keys;
            EXPECT_EQ(std::tuple(read.epoch, read.stream, read.sequence, read.time_ns),
                      std::tuple(7, 3, i, 0x123456789abcu));
          }
        }
      }
    }
  }
}

TEST(Stream, SmallestFramesAreThoseThatTheTagsHeaderSays) {
  const std::string v6 = kIpv6;
  const std::tuple<std::string, int> table[] = {
      {"protocol: udp", 60},        {"protocol: icmp", 60},         {"protocol: tcp", 72},
      {"protocol: sctp", 80},       {"protocol: udp, " + v6, 80},   {"protocol: icmp, " + v6, 80},
      {"protocol: tcp, " + v6, 92}, {"protocol: sctp, " + v6, 100}, {"protocol: udp, vlan: 5", 64},
  };
  for (const auto& [keys, bytes] : table) {
    Stream stream = stream_of(fmt::format("{}, size: {}", keys, bytes));
    const Frame frame = build(stream, 1);
    expect_right_checksums(frame, headers_of(frame), keys);
    if (bytes == 60) continue;
    const auto expected = fmt::format("stream 0: size {}: {} to 3400 for these headers and the tag", bytes - 1, bytes);
    EXPECT_EQ(error_of(fmt::format("{}, size: {}", keys, bytes - 1)), expected);
  }
}

TEST(Stream, TunnelCarriesTheStreamAndSpreadsItsPorts) {
  Stream stream = stream_of(
      "size: 100, flows: 200, vxlan: {vni: 77, source-mac: '02:00:00:00:01:01', destination-mac: '02:00:00:00:01:02', "
      "source-ip: 192.0.2.1, destination-ip: 192.0.2.2}, fields: [{field: vni, first: 100, count: 3}, "
      "{field: source-port, first: 1, count: 100}]");
  std::set<std::uint16_t> outer_ports;
  for (std::uint32_t i = 0; i < 200; ++i) {
    const Frame frame = build(stream, i);
    ASSERT_EQ(frame.size(), 150u);
    const net::Headers outer = headers_of(frame);
    EXPECT_TRUE(net::ipv4_checksum_is_right(net::view<net::Ipv4Header>(frame.data() + outer.l3_offset)));
    EXPECT_EQ(outer.destination_port, 4789);
    EXPECT_GE(outer.source_port, 49152);
    outer_ports.insert(outer.source_port);
    const auto& vxlan = net::view<net::VxlanHeader>(frame.data() + outer.payload_offset);
    EXPECT_EQ(vxlan.vni(), 100 + i % 3);
    EXPECT_EQ(vxlan.flags, 8);
    const Frame inner(frame.begin() + 50, frame.end());
    const net::Headers headers = headers_of(inner);
    expect_right_checksums(inner, headers, "inner");
    EXPECT_EQ(headers.source_port, 1 + i / 3 % 100);
    Tag tag;
    EXPECT_EQ(read_tag(frame, tag), TagFound::kRight);
  }
  EXPECT_GT(outer_ports.size(), 150u);
}

TEST(Stream, ATunnelsFamilyIsNotThatOfItsStream) {
  const std::string macs = "source-mac: '02:00:00:00:01:01', destination-mac: '02:00:00:00:01:02', ";
  const std::string outer[] = {"source-ip: 192.0.2.1, destination-ip: 192.0.2.2",
                               "source-ip: '2001:db8::1', destination-ip: '2001:db8::2'"};
  const std::string inner[] = {"", "source-ip: 'fd00::1', destination-ip: 'fd00::2', "};
  for (const std::string& around : outer) {
    for (const std::string& within : inner) {
      for (const char* size : {"100", "101"}) {
        const std::string keys = within + "flows: 100, size: " + size + ", vxlan: {vni: 9, " + macs + around + "}";
        Stream stream = stream_of(keys);
        for (std::uint32_t i = 0; i < 100; ++i) {
          const Frame frame = build(stream, i);
          const net::Headers headers = headers_of(frame);
          EXPECT_EQ(headers.destination_port, 4789) << keys;
          EXPECT_EQ(headers.l3 == net::L3::kIpv6, &around == &outer[1]);
          EXPECT_TRUE(net::l4_checksum_is_right(frame, headers)) << keys << ", packet " << i;
          const Frame packet(frame.begin() + headers.payload_offset + 8, frame.end());
          EXPECT_EQ(packet.size(), std::stoul(size));
          expect_right_checksums(packet, headers_of(packet), keys);
        }
      }
    }
  }
}

std::string address_at(const Frame& frame, std::size_t offset) {
  return fmt::format("{}.{}.{}.{}", frame[offset], frame[offset + 1], frame[offset + 2], frame[offset + 3]);
}

TEST(Stream, FieldsCountLikeAnOdometer) {
  Stream stream = stream_of(
      "fields: [{field: source-ip, first: 10.0.0.254, count: 3}, {field: destination-port, first: 80, count: 2, step: "
      "363},"
      "{field: destination-ip, mode: list, list: [1.1.1.1, 9.9.9.9]}, {field: ttl, first: 10, count: 12}]");
  EXPECT_EQ(stream.description().flows, 144u) << "as many as the fields make";
  for (std::uint32_t i = 0; i < 300; ++i) {
    const Frame frame = build(stream, i);
    const net::Headers headers = headers_of(frame);
    expect_right_checksums(frame, headers, "odometer");
    const std::uint32_t flow = i % 144;
    EXPECT_EQ(address_at(frame, 26), (std::array{"10.0.0.254", "10.0.0.255", "10.0.1.0"})[flow % 3]);
    EXPECT_EQ(headers.destination_port, flow / 3 % 2 == 0 ? 80 : 443);
    EXPECT_EQ(address_at(frame, 30), flow / 6 % 2 == 0 ? "1.1.1.1" : "9.9.9.9");
    EXPECT_EQ(headers.ttl, 10 + flow / 12);
  }
}

TEST(Stream, EveryFieldOfBothFamiliesKeepsChecksumsRight) {
  const std::string v4_fields =
      "{field: source-ip, mode: random, first: 10.0.0.0, count: 4000000000}, "
      "{field: destination-ip, mode: list, list: [255.255.255.255, 0.0.0.1, 1.2.3.4]}";
  const std::string v6_fields =
      "{field: source-ip, mode: random, first: 'fd00::1:0:0', count: 4000000000}, "
      "{field: destination-ip, mode: list, list: ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '::', "
      "'fd00:1:2:3:4:5:6:7']}";
  const std::string rest =
      ", {field: source-mac, first: '02:00:00:00:00:00', count: 7}, {field: destination-mac, mode: list, "
      "list: ['02:ff:ff:ff:ff:ff', '02:00:00:00:00:01']}, {field: vlan, mode: random, first: 1, count: 4094}, "
      "{field: source-port, mode: random, first: 0, count: 65536}, {field: dscp, mode: random, first: 0, count: 64}, "
      "{field: ttl, mode: list, list: [1, 255]}";
  for (const char* protocol : {"udp", "tcp", "sctp", "icmp"}) {
    for (const bool v6 : {false, true}) {
      const std::string keys = fmt::format(
          "protocol: {}, vlan: {{id: 1, priority: 3}}, size: 200, flows: 5000, order: random{}{}, fields: [{}{}]",
          protocol, v6 ? ", " : "", v6 ? kIpv6 : "", v6 ? v6_fields : v4_fields, rest);
      Stream stream = stream_of(keys);
      for (std::uint32_t i = 0; i < 2000; ++i) {
        const Frame frame = build(stream, i);
        const net::Headers headers = headers_of(frame);
        expect_right_checksums(frame, headers, keys);
        EXPECT_GE(headers.vlan_id, 1);
        EXPECT_EQ(frame[14] >> 5, 3) << "the priority stays";
        EXPECT_TRUE(headers.ttl == 1 || headers.ttl == 255);
        EXPECT_TRUE(!v6 || frame[headers.l3_offset + 8] == 0xfd);
        if (HasFailure()) return;
      }
    }
  }
}

TEST(Stream, TenMillionFlowsAreAllDifferent) {
  Stream stream = stream_of("flows: 10000000, size: 60");
  std::vector<bool> seen(1u << 24);
  std::array<std::uint8_t, 64> frame;
  std::uint32_t different = 0;
  for (std::uint32_t i = 0; i < 10'000'000; ++i) {
    stream.build(frame.data(), {});
    const std::uint32_t source = frame[34] << 8 | frame[35], destination = frame[36] << 8 | frame[37];
    const std::uint32_t index = (destination - 8080) << 16 | source;
    ASSERT_LT(index, seen.size());
    different += !seen[index];
    seen[index] = true;
  }
  EXPECT_EQ(different, 10'000'000u);
}

TEST(Stream, RandomValuesAreAFlowsOwn) {
  const std::string keys = "flows: 100, fields: [{field: source-port, mode: random, first: 1000, count: 50000}]";
  Stream stream = stream_of(keys), again = stream_of(keys);
  std::map<std::uint32_t, std::uint16_t> ports;
  std::set<std::uint16_t> different;
  for (std::uint32_t i = 0; i < 500; ++i) {
    const Frame frame = build(stream, i);
    EXPECT_EQ(frame, build(again, i)) << "the same seed makes the same packets";
    const std::uint16_t port = headers_of(frame).source_port;
    EXPECT_TRUE(port >= 1000 && port < 51000);
    EXPECT_EQ(ports.try_emplace(i % 100, port).first->second, port);
    different.insert(port);
  }
  EXPECT_GT(different.size(), 90u);
}

TEST(FlowOrder, ZipfFollowsItsLaw) {
  for (const double exponent : {0.8, 1.0, 1.3}) {
    for (const std::uint32_t flows : {10u, 1000u, 1'000'000u}) {
      FlowPicker picker(FlowOrder::kZipf, flows, exponent, 42);
      double total = 0;
      std::vector<double> cumulative(flows);
      for (std::uint32_t i = 0; i < flows; ++i) cumulative[i] = total += std::pow(i + 1.0, -exponent);
      constexpr int kPicks = 400'000;
      std::vector<std::uint32_t> picks(kPicks);
      for (auto& pick : picks) {
        pick = picker.next();
        ASSERT_LT(pick, flows);
      }
      std::sort(picks.begin(), picks.end());
      double worst = 0;  // Kolmogorov-Smirnov distance
      for (int i = 0; i + 1 < kPicks; ++i) {
        if (picks[static_cast<std::size_t>(i)] == picks[static_cast<std::size_t>(i) + 1]) continue;
        const double seen = (i + 1.0) / kPicks;
        worst = std::max(worst, std::abs(seen - cumulative[picks[static_cast<std::size_t>(i)]] / total));
      }
      EXPECT_LT(worst, 0.005) << exponent << " over " << flows;  // 1.63 / sqrt(n) is 0.0026 at 1 %
    }
  }
}

TEST(FlowOrder, RandomReachesAllEvenly) {
  FlowPicker picker(FlowOrder::kRandom, 100, 1, 5);
  std::array<int, 100> seen{};
  for (int i = 0; i < 100'000; ++i) ++seen[picker.next()];
  for (const int count : seen) EXPECT_NEAR(count, 1000, 160);  // five standard deviations
}

TEST(Stream, SizesComeAsOftenAsTheirWeights) {
  Stream stream = stream_of("size: imix");
  std::map<std::size_t, int> sizes;
  for (std::uint32_t i = 0; i < 1200; ++i) {
    const Frame frame = build(stream, i);
    ++sizes[frame.size()];
    expect_right_checksums(frame, headers_of(frame), "imix");
  }
  EXPECT_EQ(sizes, (std::map<std::size_t, int>{{60, 700}, {590, 400}, {1514, 100}}));
}

TEST(Stream, SaysWhatCannotBe) {
  const std::tuple<const char*, const char*> table[] = {
      {"size: 3401", "streams[0].size 3401: 60 to 3400"},
      {"flows: 16000001", "streams[0].flows 16000001: 1 to 16000000"},
      {"flows: 100, fields: [{field: source-port, first: 1, count: 99}]",
       "stream 0: flows 100: the fields make only 99 different ones"},
      {"fields: [{field: source-port, first: 65000, count: 1000}]",
       "stream 0: fields.source-port: 1000 values in steps of 1 from 65000 on end at 65999; the last is 65535"},
      {"fields: [{field: vlan, first: 1, count: 10}]",
       "streams[0].fields[0].field vlan: the stream's packets have none"},
      {"fields: [{field: ttl, first: 1}, {field: ttl, first: 2}]", "stream 0: fields.ttl: named twice"},
      {"protocol: icmp, flows: 70000", "stream 0: flows 70000: the fields make only 60000 different ones"},
      {"protocol: gre", "streams[0].protocol gre: one of udp, tcp, sctp, icmp"},
      {"rate: 5", "streams[0].rate 5: a positive number with pps, bps (k, M, G in front) or %, or max"},
      {"rate: 101%", "streams[0].rate 101%: at most 100%"},
      {"vlan: [1, 2, 3]", "streams[0].vlan: at most two tags"},
      {"vlan: 4095", "streams[0].vlan.id 4095: 0 to 4094"},
      {"colour: red", "streams[0].colour: there is no such key"},
      {"vxlan: {vni: 1}", "streams[0].vxlan.source-mac: it is needed"},
      {"vxlan: {vni: 1, source-mac: '02:00:00:00:01:01', destination-mac: '02:00:00:00:01:02', source-ip: 192.0.2.1, "
       "destination-ip: 'fd00::1'}",
       "streams[0].vxlan.destination-ip fd00::1: of the family of source-ip"},
      {"destination-ip: 'fd00::1'", "streams[0].destination-ip fd00::1: of the family of source-ip"},
      {"size: [{bytes: 60, weight: 1024}, {bytes: 100}]",
       "stream 0: size: 2 sizes with weights of 1025 together; at most 16 and 1024"},
      {"fields: [{field: source-ip, mode: list, list: [10.0.0.1, 'fd00::1']}]",
       "streams[0].fields[0].list fd00::1: an IPv4 address"},
  };
  for (const auto& [keys, message] : table) EXPECT_EQ(error_of(keys), message);
}

TEST(Profile, RatesAreOfTheWire) {
  const std::tuple<const char*, double> table[] = {
      {"size: 60, rate: 10Gbps", 14'880'952.38},
      {"size: 1514, rate: 10Gbps", 812'743.8},
      {"size: 60, rate: 50%", 7'440'476.19},
      {"rate: 1.5Mpps", 1.5e6},
      {"rate: 250kpps", 250e3},
      {"rate: max", 0},
  };
  for (const auto& [keys, pps] : table) {
    const auto profile = profile_from_text(fmt::format("streams: [{{{}}}]", keys));
    ASSERT_TRUE(profile.ok()) << profile.error().message;
    EXPECT_NEAR(packets_per_second(profile->streams[0], profile->link_bps), pps, pps * 1e-6) << keys;
  }
}

}  // namespace
}  // namespace millrace::perf::gen
