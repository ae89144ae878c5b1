// The generator on real DPDK devices that need neither hardware nor root nor hugepages: net_ring, net_null, net_pcap.
#include "perf/gen/device/rig.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "net/checksum.h"
#include "perf/gen/report/trial_text.h"
#include "perf/gen/stream/profile.h"

namespace millrace::perf::gen {
namespace {

constexpr unsigned kRing = 0, kOtherRing = 1, kNull = 2, kPcap = 3;

/// For the files of net_pcap; goes with the process, after the rig.
class Directory {
 public:
  Directory() {
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp " + path_);
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/millrace-gen-test-XXXXXX";
};

const std::string& recording() {
  static const Directory directory;
  static const std::string file = directory.path() + "/sent.pcap";
  return file;
}

/// DPDK starts once a process, so all tests have one rig.
Rig& rig() {
  static const std::unique_ptr<Rig> rig = [] {
    // net_pcap wants something to receive from, too: an empty recording.
    const std::string empty = recording() + ".empty";
    const std::uint32_t header[6] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
    std::ofstream(empty, std::ios::binary).write(reinterpret_cast<const char*>(header), sizeof header);
    auto opened = Rig::open({.ports = {"net_ring0", "net_ring1", "net_null0,no-rx=1",
                                       "net_pcap0,rx_pcap=" + empty + ",tx_pcap=" + recording()},
                             .cpus = {0, 0},
                             .verify_headers = true,
                             .hugepages = false,
                             .interval_seconds = 0.02});
    if (!opened) throw std::runtime_error(opened.error().message);
    return *std::move(opened);
  }();
  return *rig;
}

std::vector<StreamDescription> streams(const std::string& list) {
  const auto profile = profile_from_text("streams: [" + list + "]");
  if (!profile) throw std::runtime_error(profile.error().message);
  return profile->streams;
}

TrialResult run(const std::string& list, const TrialOptions& options) {
  auto result = rig().run(streams(list), options);
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}

TEST(Rig, WhatGoesIntoARingComesBackWholeAndInOrder) {
  const TrialResult result = run(
      "{rate: 20kpps, flows: 1000, size: imix}, {port: 1, rate: 10kpps, protocol: tcp, size: 200}", {.seconds = 0.2});
  ASSERT_EQ(result.streams.size(), 2u);
  EXPECT_EQ(result.streams[0].due, 4000u);
  EXPECT_EQ(result.streams[1].due, 2000u);
  for (const StreamResult& stream : result.streams) {
    EXPECT_EQ(stream.received.received, stream.sent) << "a ring loses nothing";
    EXPECT_EQ(stream.received.reordered, 0u);
    EXPECT_EQ(stream.received.duplicates, 0u);
    EXPECT_EQ(stream.latency.count(), stream.sent);
  }
  EXPECT_EQ(result.ports[kRing].received, result.streams[0].sent);
  EXPECT_EQ(result.ports[kOtherRing].received, result.streams[1].sent);
  for (const PortResult& port : result.ports)
    EXPECT_EQ(port.bad_headers + port.damaged + port.foreign + port.stale, 0u);
}

TEST(Rig, ATrialOfSoManyPacketsEndsByItself) {
  const TrialResult result = run("{rate: max}", {.seconds = 30, .drain_seconds = 0.05, .packets = 5000});
  EXPECT_EQ(result.streams[0].sent, 5000u);
  EXPECT_EQ(result.streams[0].received.received, 5000u);
}

TEST(Rig, WhatADeviceSwallowsIsLost) {
  const TrialResult result = run("{port: 2, rate: 10kpps}", {.seconds = 0.1, .drain_seconds = 0.01});
  EXPECT_EQ(result.streams[0].received.received, 0u);
  EXPECT_EQ(result.streams[0].lost(), 1000u);
  EXPECT_EQ(loss_ratio(result.streams[0]), 1.0);
}

TEST(Rig, ShowsWhatHappensWhileItRuns) {
  std::vector<LiveSample> seen;
  rig().on_live([&](const LiveSample& sample) { seen.push_back(sample); });
  const TrialResult result = run("{rate: 40kpps}, {port: 1, rate: 10kpps}", {.seconds = 3});
  rig().on_live(std::function<void(const LiveSample&)>());
  ASSERT_GE(seen.size(), 2u);
  ASSERT_GE(result.samples.size(), 2u);
  double sent = 0, before = 0;
  for (const Sample& sample : result.samples) {
    sent += sample.sent_pps * (sample.seconds - before);
    before = sample.seconds;
  }
  EXPECT_GT(sent, 0);
  EXPECT_LE(sent, 150'001);
  double received = 0;
  before = 0;
  for (const LiveSample& sample : seen) {
    ASSERT_EQ(sample.streams.size(), 2u);
    ASSERT_EQ(sample.ports.size(), 4u);
    EXPECT_EQ(sample.of_seconds, 3);
    EXPECT_GE(sample.ports[kRing].sent_pps * 1.001, sample.streams[0].sent_pps);
    received += sample.streams[0].received_pps * (sample.seconds - before);
    before = sample.seconds;
  }
  EXPECT_GT(received, 0);
  EXPECT_LE(received, 120'001);
  EXPECT_GT(seen.back().total.p99_ns, 0u);
}

TEST(Rig, WritesFramesThatOthersCanReadAndItCanReplay) {
  const TrialResult result = run("{port: 3, rate: max, flows: 10, size: 128, protocol: tcp}",
                                 {.seconds = 20, .drain_seconds = 0.01, .packets = 300});
  EXPECT_EQ(result.ports[kPcap].sent, 300u);
  const auto recorded = RecordedFrames::load(recording());
  ASSERT_TRUE(recorded.ok()) << recorded.error().message;
  ASSERT_EQ(recorded->size(), 300u);
  for (std::size_t i = 0; i < 300; ++i) {
    net::Headers headers;
    ASSERT_EQ(net::parse(recorded->frame(i), 128, headers), net::Drop::kNone);
    EXPECT_EQ(headers.source_port, 1024 + i % 10);
    EXPECT_TRUE(net::l4_checksum_is_right(recorded->frame(i), headers));
  }
  // And the recording goes out again, as often as it is asked for.
  const TrialResult replayed =
      run("{replay: " + recording() + ", rate: 100kpps}", {.seconds = 10, .drain_seconds = 0.01, .packets = 700});
  EXPECT_EQ(replayed.streams[0].sent, 700u);
  EXPECT_EQ(replayed.streams[0].sent_bytes, 700u * 128);
  EXPECT_EQ(replayed.ports[kRing].stale, 700u) << "its tags are those of another trial";
  EXPECT_EQ(replayed.streams[0].untagged, 700u);
  EXPECT_EQ(replayed.streams[0].lost(), 0u) << "nobody knows";
}

TEST(Rig, SaysWhatIsWrong) {
  const auto error_of = [](const std::string& list) {
    const auto result = rig().run(streams(list), {.seconds = 0.1});
    return result ? std::string() : result.error().message;
  };
  EXPECT_EQ(error_of("{port: 4}"), "stream 0: port 4: ports are 0 to 3");
  EXPECT_EQ(error_of("{replay: /nowhere.pcap}"), "replay /nowhere.pcap: there is no such file");
  EXPECT_EQ(error_of("{size: 3000}"), "stream 0: frames of 3000 bytes; packets hold 1600");
  const auto no_echo = Rig::open({.ports = {"net_ring9"}, .echo = {1}});
  ASSERT_FALSE(no_echo.ok());
  EXPECT_EQ(no_echo.error().message, "--echo 1: ports are 0 to 0");
}

TEST(Rig, JsonHasEveryFigure) {
  const TrialResult result = run("{rate: 10kpps}", {.seconds = 0.05});
  const auto json = trial_json(result);
  EXPECT_EQ(json["total"]["due"], 500);
  EXPECT_EQ(json["streams"].size(), 1u);
  EXPECT_EQ(json["ports"].size(), 4u);
  std::uint64_t counted = 0;
  for (const auto& bucket : json["total"]["latency_ns"]["histogram"]) counted += bucket[2].get<std::uint64_t>();
  EXPECT_EQ(counted, json["total"]["received"].get<std::uint64_t>());
  const std::string csv = trial_csv(result);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 3);
}

}  // namespace
}  // namespace millrace::perf::gen
