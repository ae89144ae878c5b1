#include "perf/gen/command/test_command.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "perf/gen/command/live_screen.h"
#include "perf/gen/command/output.h"
#include "perf/gen/report/method_text.h"
#include "perf/gen/stream/profile.h"

namespace millrace::perf::gen {
namespace {

using Call = net::Result<MethodResult> (Method::*)();

const std::map<std::string, Call>& methods() {
  static const std::map<std::string, Call> calls = {{"throughput", &Method::throughput},
                                                    {"ndr-pdr", &Method::ndr_pdr},
                                                    {"latency", &Method::latency},
                                                    {"back-to-back", &Method::back_to_back},
                                                    {"frame-loss", &Method::frame_loss},
                                                    {"flows", &Method::flow_sweep},
                                                    {"sweep", &Method::sweep},
                                                    {"reconfigure", &Method::reconfigure},
                                                    {"connection-rate", &Method::connection_rate},
                                                    {"connection-teardown", &Method::connection_teardown},
                                                    {"connection-capacity", &Method::connection_capacity},
                                                    {"soak", &Method::soak}};
  return calls;
}

}  // namespace

void TestCommand::describe(CLI::App& app) {
  app.add_option(
         "method", method_,
         "throughput, ndr-pdr, latency (at 10, 50, 90 % of the throughput), back-to-back, frame-loss, flows, sweep (of "
         "a number of the device), reconfigure, connection-rate, connection-teardown, connection-capacity, soak")
      ->required()
      ->check(CLI::IsMember(methods()));
  common_.describe(app);
  options_.trial.seconds = 10;
  options_.flows = {1, 1000, 100'000, 1'000'000, 10'000'000};
  app.add_option("--seconds", options_.trial.seconds, "Length of a trial; RFC 2544 wants 60 where it counts")
      ->capture_default_str()
      ->check(CLI::Range(0.05, 86400.0));
  app.add_option("--drain", options_.trial.drain_seconds, "Most seconds to wait for the last packets of a trial")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 60.0));
  app.add_option("--warm-up", warm_up_, "Seconds of the streams before the first trial")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  app.add_option("--most", most_rate_, "Rate at which searches begin, of all streams; max: what the devices take")
      ->capture_default_str();
  app.add_option("--precision", options_.precision, "Searches end within this share of the rate")
      ->capture_default_str()
      ->check(CLI::Range(0.0001, 0.5));
  app.add_option("--pdr-loss", options_.pdr_loss, "Share that the PDR may lose")
      ->capture_default_str()
      ->check(CLI::Range(0.000001, 0.5));
  app.add_option("--sizes", options_.sizes, "throughput, ndr-pdr: a search for each size, bytes without FCS")
      ->delimiter(',')
      ->check(CLI::Range(kMinFrameBytes, kMaxFrameBytes));
  app.add_option("--flow-counts", options_.flows, "flows: a search for each number")
      ->delimiter(',')
      ->check(CLI::Range(1u, kMaxFlows));
  app.add_option("--repeats", options_.repeats, "back-to-back: searches; RFC 9004 wants 50")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--total", options_.soak_seconds, "soak: seconds of all trials together")
      ->capture_default_str()
      ->check(CLI::Range(1.0, 1e8));
  drive_.describe_reconfiguration(app);
  drive_.describe_sweep(app, options_);
  drive_.describe_connections(app, options_);
}

net::Result<Profile> TestCommand::checked_profile() {
  auto profile = common_.profile();
  if (!profile) return profile;
  for (const StreamDescription& stream : profile->streams) {
    if (!stream.replay.empty()) {
      return net::invalid_argument(
          fmt::format("stream {}: a replay has no tags, so nothing can be said of its loss", stream.name));
    }
  }
  const auto most = parse_rate(most_rate_);
  if (!most) return net::invalid_argument("--most: " + most.error().message);
  options_.trial.link_bps = profile->link_bps;
  StreamDescription all = profile->streams[0];
  all.rate = *most;
  options_.most_pps = packets_per_second(all, profile->link_bps);
  if (auto prepared = drive_.prepare(method_, options_); !prepared) return prepared.error();
  return profile;
}

net::Result<void> TestCommand::write(const MethodResult& result, const Reconfigurer* changes,
                                     const std::string& memory) const {
  auto json = nlohmann::ordered_json{{"kind", "test"}, {"machine", fingerprint(memory)}};
  json["result"] = method_json(result);
  std::string text = method_text(result);
  if (changes != nullptr && !result.points.empty()) {
    json["result"]["reconfiguration"] = changes_json(changes->changes(), result.points.back().result);
    text += changes_text(changes->changes(), result.points.back().result);
  }
  fmt::print("{}", common_.json ? json.dump() + "\n" : text);
  return write_result(common_, json, method_csv(result));
}

net::Result<void> TestCommand::run() {
  auto profile = checked_profile();
  if (!profile) return profile.error();
  Profile widest = *profile;  // for the pool: a search for each size is still to come
  for (const std::uint32_t size : options_.sizes) widest.streams[0].sizes.push_back({.bytes = size, .weight = 1});
  auto rig = common_.open_rig(widest);
  if (!rig) return rig.error();
  const StopWatch stop(**rig);
  if (warm_up_ > 0) {
    const auto warmed = (*rig)->run(profile->streams, {.seconds = warm_up_, .link_bps = profile->link_bps});
    if (!warmed) return warmed.error();
  }
  std::optional<LiveScreen> screen;
  if (common_.live) screen.emplace().follow(**rig, profile->streams);
  const auto changes = drive_.reconfigurer();
  options_.companion = changes.get();
  const auto around = drive_.around(method_, **rig, options_);
  TrialRunner& runner = around ? *around : static_cast<TrialRunner&>(**rig);
  Method method(runner, profile->streams, options_, [&screen](const Point& point) {
    if (screen) return screen->note(point_text(point));
    fmt::print(stderr, "{}", point_text(point));
  });
  const auto result = (method.*methods().at(method_))();
  screen.reset();
  if (!result) return result.error();
  if (auto written = write(*result, changes.get(), (*rig)->memory()); !written) return written;
  if (!result->error.empty()) return net::failed_precondition(result->error);
  return {};
}

}  // namespace millrace::perf::gen
