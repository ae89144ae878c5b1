#include "perf/gen/command/test_command.h"

#include <fmt/format.h>

#include <map>

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
                                                    {"soak", &Method::soak}};
  return calls;
}

}  // namespace

void TestCommand::describe(CLI::App& app) {
  app.add_option(
         "method", method_,
         "throughput, ndr-pdr, latency (at 10, 50, 90 % of the throughput), back-to-back, frame-loss, flows, soak")
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
}

net::Result<MethodResult> TestCommand::measure(Method& method) const { return (method.*methods().at(method_))(); }

net::Result<void> TestCommand::run() {
  auto profile = common_.profile();
  if (!profile) return profile.error();
  for (const StreamDescription& stream : profile->streams) {
    if (!stream.replay.empty()) {
      return net::invalid_argument(
          fmt::format("stream {}: a replay has no tags, so nothing can be said of its loss", stream.name));
    }
  }
  const auto most = parse_rate(most_rate_);
  if (!most) return net::invalid_argument("--most: " + most.error().message);
  for (const std::uint32_t size : options_.sizes) {  // for the pool, before it is made
    profile->streams[0].sizes.push_back({.bytes = size, .weight = 1});
  }
  auto rig = common_.open_rig(*profile);
  if (!rig) return rig.error();
  for (std::size_t i = 0; i < options_.sizes.size(); ++i) profile->streams[0].sizes.pop_back();
  options_.trial.link_bps = profile->link_bps;
  StreamDescription all = profile->streams[0];
  all.rate = *most;
  options_.most_pps = packets_per_second(all, profile->link_bps);
  const StopWatch stop(**rig);
  if (warm_up_ > 0) {
    const auto warmed = (*rig)->run(profile->streams, {.seconds = warm_up_, .link_bps = profile->link_bps});
    if (!warmed) return warmed.error();
  }
  if (common_.live) show_live(**rig);
  Method method(**rig, profile->streams, options_,
                [](const Point& point) { fmt::print(stderr, "{}", point_text(point)); });
  const auto result = measure(method);
  if (!result) return result.error();
  auto json = nlohmann::ordered_json{{"kind", "test"}, {"machine", fingerprint((*rig)->memory())}};
  json["result"] = method_json(*result);
  if (common_.json) {
    fmt::print("{}\n", json.dump());
  } else {
    fmt::print("{}", method_text(*result));
  }
  return write_result(common_, json, method_csv(*result));
}

}  // namespace millrace::perf::gen
