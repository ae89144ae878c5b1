// The frames the generator makes: seen as the program in the kernel writes them, judged by the switch's own parser.
#include "perf/gen/flow_head.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "net/checksum.h"
#include "net/parser.h"
#include "net/wire.h"
#include "perf/gen/sender.h"
#include "tests/io/pod_net.h"

namespace millrace::perf::gen {
namespace {

FlowOptions options_of(const char* source, const char* destination) {
  FlowOptions options;
  options.source_mac = *net::Mac::parse("02:00:00:00:00:01");
  options.destination_mac = *net::Mac::parse("02:4d:52:00:00:01");
  options.source_ip = *net::IpAddress::parse(source);
  options.destination_ip = *net::IpAddress::parse(destination);
  return options;
}

struct Family {
  const char* name;
  const char* source;
  const char* destination;
  net::L3 l3;
};

class Frames : public testing::TestWithParam<Family> {};

TEST_P(Frames, AreWholeUdpPacketsWithRightChecksums) {
  MILLRACE_NEEDS_ROOT();
  const Family& family = GetParam();
  for (const std::uint32_t size : {64u, 65u, 590u, 1514u}) {
    FlowOptions options = options_of(family.source, family.destination);
    options.flows = 5;
    options.frame_bytes = size;
    auto sender = Sender::open("lo", options);
    ASSERT_TRUE(sender.ok()) << sender.error().message;
    const auto frames = sender->preview(10);
    ASSERT_TRUE(frames.ok()) << frames.error().message;
    for (std::size_t i = 0; i < frames->size(); ++i) {
      std::vector<std::uint8_t> frame = (*frames)[i];
      ASSERT_EQ(frame.size(), size);
      net::Headers headers;
      ASSERT_EQ(net::parse(frame, size, headers), net::Drop::kNone);
      EXPECT_EQ(headers.l3, family.l3);
      EXPECT_EQ(headers.l3_length + 14, size) << "no padding";
      EXPECT_EQ(headers.source_port, 1024 + i % 5) << "flows follow one another and begin anew";
      EXPECT_EQ(headers.destination_port, 8080);
      EXPECT_TRUE(net::l4_checksum_is_right(frame, headers));
      const auto& ethernet = net::view<net::EthernetHeader>(frame.data());
      EXPECT_EQ(ethernet.source, options.source_mac);
      EXPECT_EQ(ethernet.destination, options.destination_mac);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Frames,
                         testing::Values(Family{"IPv4", "10.244.0.2", "10.244.0.3", net::L3::kIpv4},
                                         Family{"IPv4 whose sum overflows", "255.254.253.252", "254.255.255.254",
                                                net::L3::kIpv4},
                                         Family{"IPv6", "fd00:10:244::2", "fd00:10:244::3", net::L3::kIpv6},
                                         Family{"IPv6 whose sum overflows", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
                                                "fdff:ffff:ffff:ffff:ffff:ffff:ffff:fffd", net::L3::kIpv6}));

TEST(FlowHead, ManyFlowsTakeTheNextDestinationPort) {
  MILLRACE_NEEDS_ROOT();
  FlowOptions options = options_of("10.0.0.1", "10.0.0.2");
  options.flows = SEND_PORTS + 2;
  auto sender = Sender::open("lo", options);
  ASSERT_TRUE(sender.ok()) << sender.error().message;
  const auto frames = sender->preview(SEND_PORTS + 3);
  ASSERT_TRUE(frames.ok());
  std::set<std::pair<int, int>> flows;
  for (const auto& frame : *frames) {
    net::Headers headers;
    ASSERT_EQ(net::parse(frame, 64, headers), net::Drop::kNone);
    flows.emplace(headers.source_port, headers.destination_port);
  }
  EXPECT_EQ(flows.size(), options.flows);
  EXPECT_TRUE(flows.contains({1025, 8081}));
}

struct Refusal {
  const char* name;
  std::uint32_t size, flows;
  std::uint16_t port;
  const char* destination;
  const char* says;
};

TEST(FlowHead, RefusesWhatCannotBeSent) {
  const Refusal table[] = {
      {"too short", 63, 1, 1, "10.0.0.2", "--size 63: 64 to 3000"},
      {"too long", 9000, 1, 1, "10.0.0.2", "--size 9000"},
      {"no flow", 64, 0, 1, "10.0.0.2", "--flows 0: 1 to 16000000"},
      {"too many flows", 64, 20'000'000, 1, "10.0.0.2", "--flows 20000000"},
      {"ports run out", 64, 60'001, 65535, "10.0.0.2", "do not suffice"},
      {"two families", 64, 1, 1, "fd00::2", "different families"},
  };
  for (const Refusal& row : table) {
    FlowOptions options = options_of("10.0.0.1", row.destination);
    options.frame_bytes = row.size;
    options.flows = row.flows;
    options.destination_port = row.port;
    const auto head = make_flow_head(options);
    ASSERT_FALSE(head.ok()) << row.name;
    EXPECT_EQ(head.error().code, net::ErrorCode::kInvalidArgument) << row.name;
    EXPECT_NE(head.error().message.find(row.says), std::string::npos) << row.name << ": " << head.error().message;
  }
}

}  // namespace
}  // namespace millrace::perf::gen
