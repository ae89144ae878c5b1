// RFC 9693 and the sweeps over a model of a NAT gateway whose table, rates and configuration are known.
#include <gtest/gtest.h>

#include <cmath>

#include "perf/gen/drive/connections_runner.h"
#include "perf/gen/method/method.h"
#include "perf/gen/method/rates.h"
#include "perf/gen/stream/profile.h"
#include "perf/gen/stream/stream.h"

namespace millrace::perf::gen {
namespace {

/// Remembers connections up to a number, makes them at a rate and forwards those it has at a higher one. A flow that it
/// does not know and cannot make is lost. What it drives faster than that it loses.
class Gateway final : public TrialRunner {
 public:
  std::uint64_t capacity = 1'000'000;
  double establish_pps = 100'000, forward_pps = 1e6;
  bool evicts = false;  // a full table gives up an old connection for a new one
  std::uint64_t connections = 0;
  std::vector<TrialOptions> asked;

  net::Result<TrialResult> run(const std::vector<StreamDescription>& streams, const TrialOptions& options) override {
    asked.push_back(options);
    const double pps = packets_per_second(streams[0], options.link_bps);
    const std::uint64_t flows = streams[0].flows;
    StreamResult one;
    const double sent_pps = pps > 0 ? pps : 5e6;
    one.due = one.sent =
        options.packets != 0 ? options.packets : static_cast<std::uint64_t>(sent_pps * options.seconds);
    const bool first_packets = options.packets != 0 && connections < flows;
    const double limit = first_packets ? establish_pps : forward_pps;
    auto come = static_cast<std::uint64_t>(static_cast<double>(one.sent) * std::min(1.0, limit / sent_pps));
    const std::uint64_t wanted = std::max(connections, std::min(flows, first_packets ? come : flows));
    const std::uint64_t before = connections;
    connections = std::min(capacity, wanted);
    // What is evicted was there when its packet came, and is gone when it is asked for again.
    if (flows > capacity && !(evicts && before == 0)) { come = std::min(come, one.sent * capacity / flows); }
    one.received.received = come;
    one.latency.add(1000, come);
    TrialResult result;
    result.seconds = options.packets != 0 ? static_cast<double>(one.sent) / sent_pps : options.seconds;
    result.streams.push_back(one);
    return result;
  }
};

/// Its command empties a gateway: a file that the model looks at would be a roundabout way, so the runner does it.
class Emptied final : public TrialRunner {
 public:
  explicit Emptied(Gateway& gateway, bool validate) : gateway_(gateway), inner_(gateway, {}, validate) {}
  net::Result<TrialResult> run(const std::vector<StreamDescription>& streams, const TrialOptions& options) override {
    gateway_.connections = 0;
    return inner_.run(streams, options);
  }

 private:
  Gateway& gateway_;
  EstablishingRunner inner_;
};

std::vector<StreamDescription> clients(std::uint32_t flows) {
  auto streams = profile_from_text("streams: [{rate: max}]")->streams;
  return with_flows(std::move(streams), flows);
}

double figure(const Row& row, const std::string& name) {
  for (const auto& [key, value] : row.figures) {
    if (key == name) return value;
  }
  ADD_FAILURE() << "no figure " << name << " in " << row.name;
  return 0;
}

TEST(Connections, RateIsTheHighestAtWhichNoFirstPacketIsLost) {
  Gateway gateway;
  Emptied runner(gateway, false);
  Method method(runner, clients(20'000), {}, {});
  const auto result = method.connection_rate();
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_NEAR(figure(result->rows[0], "established_per_second"), 100'000, 600);
  EXPECT_EQ(figure(result->rows[0], "connections"), 20'000);
  for (const TrialOptions& options : gateway.asked) EXPECT_EQ(options.packets, 20'000u) << "every flow once";
}

TEST(Connections, MoreThanTheTableHoldsHasNoRate) {
  Gateway gateway;
  gateway.capacity = 5000;
  Emptied runner(gateway, false);
  Method method(runner, clients(20'000), {}, {});
  EXPECT_EQ(figure(method.connection_rate()->rows[0], "established_per_second"), 0);
}

TEST(Connections, CapacityIsFoundWithinItsPrecision) {
  for (const bool evicts : {false, true}) {
    for (const std::uint64_t capacity : {1500ull, 65'536ull, 262'144ull}) {
      Gateway gateway;
      gateway.capacity = capacity;
      gateway.evicts = evicts;
      Emptied runner(gateway, true);
      MethodOptions options;
      options.precision = 0.01;
      Method method(runner, clients(1), options, {});
      const auto result = method.connection_capacity();
      ASSERT_TRUE(result.ok()) << result.error().message;
      const double found = figure(result->rows[0], "connections");
      EXPECT_LE(found, static_cast<double>(capacity)) << (evicts ? "evicting" : "refusing");
      EXPECT_GE(found, static_cast<double>(capacity) * 0.99);
      EXPECT_NEAR(figure(result->rows[0], "establish_pps"), 50'000, 500) << "half of what was found";
    }
  }
}

TEST(Connections, ATableLargerThanAskedForIsSaidToBe) {
  Gateway gateway;
  Emptied runner(gateway, true);
  MethodOptions options;
  options.most_connections = 100'000;
  options.establish_pps = 10'000;
  Method method(runner, clients(1), options, {});
  EXPECT_EQ(figure(method.connection_capacity()->rows[0], "at_least"), 100'000);
}

TEST(Connections, TeardownCountsWhatWasThereByTheTimeThatItTook) {
  Gateway gateway;
  MethodOptions options;
  options.establish_pps = 50'000;
  options.empty_table = [&]() -> net::Result<double> {
    const double seconds = 0.1 + static_cast<double>(gateway.connections) / 1e6;
    gateway.connections = 0;
    return seconds;
  };
  EstablishingRunner runner(gateway, {}, false);
  Method method(runner, clients(10'000), options, {});
  const auto result = method.connection_teardown();
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(figure(result->rows[0], "connections"), 10'000);
  EXPECT_EQ(figure(result->rows[0], "not_established"), 0);
  EXPECT_NEAR(figure(result->rows[0], "torn_down_per_second"), 10'000 / 0.11, 1);
  EXPECT_NEAR(figure(result->rows[0], "net_per_second"), 1e6, 1);
}

TEST(Connections, AnEstablishedThroughputIsThatOfPhaseTwo) {
  Gateway gateway;
  EstablishedRunner runner(gateway, {}, 50'000);
  Method method(runner, clients(20'000), {}, {});
  const auto result = method.throughput();
  EXPECT_NEAR(figure(result->rows[0], "throughput_pps"), 1e6, 6e3);
  EXPECT_EQ(gateway.asked[0].packets, 20'000u) << "first packets";
  EXPECT_EQ(gateway.asked[1].packets, 0u);
}

TEST(Connections, ATrialWhoseConnectionsAreNotAllThereHasNotPassed) {
  Gateway gateway;
  gateway.capacity = 10'000;
  EstablishedRunner runner(gateway, {}, 50'000);
  std::uint64_t missing = 0;
  Method method(runner, clients(20'000), {}, [&](const Point& point) {
    EXPECT_FALSE(point.passed);
    missing = point.result.not_established;
  });
  EXPECT_EQ(figure(method.throughput()->rows[0], "throughput_pps"), 0);
  EXPECT_EQ(missing, 10'000u);
}

TEST(Connections, ATableThatCannotBeEmptiedEndsTheMethod) {
  Gateway gateway;
  EstablishingRunner runner(gateway, {.reset = "echo busy; exit 3", .rest_seconds = 0, .shell = {}}, false);
  Method method(runner, clients(10), {}, {});
  const auto result = method.connection_rate();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().message, "'echo busy; exit 3': exit code 3; it printed:\nbusy");
}

TEST(Sweep, EveryNumberIsSetBeforeItIsMeasured) {
  Gateway gateway;
  MethodOptions options;
  options.trial.seconds = 1;
  options.values = {10, 1000, 100'000};
  options.configure = [&](std::uint64_t value) -> net::Result<double> {
    gateway.forward_pps = 1e6 / std::log10(static_cast<double>(value));
    return 0.5;
  };
  Method method(gateway, clients(1), options, {});
  const auto result = method.sweep();
  ASSERT_EQ(result->rows.size(), 3u);
  EXPECT_EQ(result->rows[2].name, "100000");
  EXPECT_EQ(figure(result->rows[2], "value"), 100'000);
  EXPECT_EQ(figure(result->rows[2], "configure_seconds"), 0.5);
  EXPECT_NEAR(figure(result->rows[0], "throughput_pps"), 1e6, 6e3);
  EXPECT_NEAR(figure(result->rows[2], "throughput_pps"), 2e5, 2e3);
  EXPECT_EQ(figure(result->rows[2], "half_p99_ns"), 1000);
}

TEST(Sweep, ANumberThatTheDeviceRefusesEndsItAndKeepsWhatWasMeasured) {
  Gateway gateway;
  MethodOptions options;
  options.values = {10, 20, 30};
  options.configure = [&](std::uint64_t value) -> net::Result<double> {
    if (value == 20) return net::failed_precondition("'set 20': exit code 1; it printed:\nno room");
    return 0.0;
  };
  Method method(gateway, clients(1), options, {});
  const auto result = method.sweep();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->rows.size(), 1u);
  EXPECT_EQ(result->error, "20: 'set 20': exit code 1; it printed:\nno room");
}

TEST(Reconfigure, RunsAtAShareOfTheThroughput) {
  Gateway gateway;
  MethodOptions options;
  options.load_seconds = 7;
  Method method(gateway, clients(1), options, {});
  const auto result = method.reconfigure();
  ASSERT_EQ(result->rows.size(), 2u);
  EXPECT_NEAR(figure(result->rows[1], "offered_pps"), 0.7 * figure(result->rows[0], "offered_pps"), 1);
  EXPECT_EQ(gateway.asked.back().seconds, 7);
  EXPECT_EQ(gateway.asked.back().step_seconds, 0.001);
}

TEST(Rates, FieldsThatSomebodyChoseStay) {
  const auto chosen =
      profile_from_text("streams: [{flows: 2, fields: [{field: source-ip, first: 10.0.0.1, count: 500}]}]");
  ASSERT_TRUE(chosen.ok()) << chosen.error().message;
  const auto more = with_flows(chosen->streams, 400);
  EXPECT_EQ(more[0].fields[0].name, FieldName::kSourceIp);
  EXPECT_TRUE(Stream::compile(more[0]).ok());
  EXPECT_FALSE(Stream::compile(with_flows(chosen->streams, 501)[0]).ok());
}

}  // namespace
}  // namespace millrace::perf::gen
