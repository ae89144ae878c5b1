// The generator against itself over a real veth pair: what was sent is what is counted.
#include <gtest/gtest.h>

#include <optional>

#include "perf/gen/receiver.h"
#include "perf/gen/report.h"
#include "perf/gen/sender.h"
#include "tests/io/pod_net.h"

namespace millrace::perf::gen {
namespace {

using namespace std::chrono_literals;

FlowOptions small_frames() {
  FlowOptions options;
  options.source_mac = *net::Mac::parse("02:00:00:00:00:01");
  options.destination_mac = *net::Mac::parse("02:00:00:00:00:02");
  options.source_ip = *net::IpAddress::parse("10.0.0.1");
  options.destination_ip = *net::IpAddress::parse("10.0.0.2");
  options.flows = 100;
  return options;
}

/// Sends from the pod's eth0; the frames arrive at the pod's host interface.
net::Result<SendResult> send_from(const tests::Pod& pod, std::chrono::duration<double> length, std::uint64_t rate_pps) {
  net::Result<SendResult> result = net::internal_error("did not run");
  pod.netns().run([&] {
    auto sender = Sender::open("eth0", small_frames());
    if (sender)
      result = sender->run(length, rate_pps);
    else
      result = sender.error();
  });
  return result;
}

TEST(SendReceive, CountsEveryFrameThatWasSent) {
  MILLRACE_NEEDS_ROOT();
  const tests::Pod pod("h0");
  auto receiver = Receiver::open("h0");
  ASSERT_TRUE(receiver.ok()) << receiver.error().message;
  EXPECT_TRUE(receiver->native());
  const auto sent = send_from(pod, 500ms, 20'000);
  ASSERT_TRUE(sent.ok()) << sent.error().message;
  const auto received = receiver->total();
  ASSERT_TRUE(received.ok());
  EXPECT_GT(sent->made, 0u);
  EXPECT_LE(sent->made, static_cast<std::uint64_t>(20'000 * sent->seconds));
  EXPECT_EQ(sent->accepted, sent->made);
  EXPECT_EQ(received->packets, sent->accepted);
  EXPECT_EQ(received->bytes, sent->accepted * 64);
}

TEST(SendReceive, AtFullSpeedNothingIsCountedTwice) {
  MILLRACE_NEEDS_ROOT();
  const tests::Pod pod("h0");
  auto receiver = Receiver::open("h0");
  ASSERT_TRUE(receiver.ok()) << receiver.error().message;
  const auto sent = send_from(pod, 200ms, 0);
  ASSERT_TRUE(sent.ok()) << sent.error().message;
  const auto received = receiver->total();
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->packets, sent->accepted);
  EXPECT_EQ(sent->accepted + sent->dropped, sent->made);
}

TEST(SendReceive, LetsPassWhatIsNotUdp) {
  MILLRACE_NEEDS_ROOT();
  const tests::Pod left("h0"), right("h1");
  // A bridge between the two pods, and the receiver in the right one.
  tests::shell("ip link add br0 type bridge mcast_snooping 0 && ip link set br0 up");
  tests::shell("ip link set h0 master br0 && ip link set h1 master br0");
  const tests::RawSocket sender(left), inside(right);
  std::optional<Receiver> receiver;
  right.netns().run([&] {
    auto opened = Receiver::open("eth0");
    if (opened) receiver.emplace(std::move(opened).value());
  });
  ASSERT_TRUE(receiver.has_value());
  const tests::Frame frame = tests::numbered_frame(1, 100);
  ASSERT_TRUE(sender.send(frame));
  EXPECT_EQ(inside.receive(), frame);
  EXPECT_EQ(receiver->total()->packets, 0u);
  tests::shell("ip link del br0");
}

TEST(SendReceive, SaysWhyNothingWasAccepted) {
  MILLRACE_NEEDS_ROOT();
  const tests::Pod pod("h0");  // h0 has neither GRO nor a program
  const auto sent = send_from(pod, 50ms, 1000);
  ASSERT_FALSE(sent.ok());
  EXPECT_EQ(sent.error().code, net::ErrorCode::kFailedPrecondition);
  EXPECT_NE(sent.error().message.find("GRO"), std::string::npos) << sent.error().message;
}

TEST(SendReceive, MissingInterfaceIsNamed) {
  MILLRACE_NEEDS_ROOT();
  const auto sender = Sender::open("nosuch0", small_frames());
  ASSERT_FALSE(sender.ok());
  EXPECT_EQ(sender.error().message, "no interface nosuch0");
  const auto receiver = Receiver::open("nosuch0");
  ASSERT_FALSE(receiver.ok());
  EXPECT_EQ(receiver.error().code, net::ErrorCode::kNotFound);
}

TEST(Report, IsTheSameForPeopleAndPrograms) {
  const ReceiveResult result{.packets = 3'000'000, .bytes = 192'000'000, .seconds = 2.0};
  EXPECT_EQ(receive_line("eth0", result),
            "received 3000000 packets, 192000000 bytes on eth0 in 2.000 s: 1.500 Mpps, 0.768 Gbit/s");
  EXPECT_EQ(receive_json("eth0", result),
            R"({"interface":"eth0","packets":3000000,"bytes":192000000,"seconds":2.0,"pps":1500000.0,"gbps":0.768})");
  EXPECT_EQ(receive_json("eth0", {}),
            R"({"interface":"eth0","packets":0,"bytes":0,"seconds":0.0,"pps":0.0,"gbps":0.0})");
}

}  // namespace
}  // namespace millrace::perf::gen
