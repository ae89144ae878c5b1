#include "perf/gen/command/run_command.h"

#include <fmt/format.h>

#include <optional>

#include "perf/gen/command/live_screen.h"
#include "perf/gen/command/output.h"
#include "perf/gen/report/trial_text.h"

namespace millrace::perf::gen {

void RunCommand::describe(CLI::App& app) {
  common_.describe(app);
  app.add_option("--seconds", seconds_, "How long to send")->capture_default_str()->check(CLI::Range(0.01, 1e6));
  app.add_option("--warm-up", warm_up_, "Seconds before that, which do not count")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  app.add_option("--drain", drain_, "Most seconds to wait for the last packets")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 60.0));
  app.add_option("--packets", packets_, "End after so many packets of each stream; 0: by the time alone")
      ->capture_default_str();
  drive_.describe_reconfiguration(app);
}

net::Result<void> RunCommand::run() {
  const auto profile = common_.profile();
  if (!profile) return profile.error();
  const auto changes = drive_.reconfigurer();
  if (changes) {
    for (const StreamDescription& stream : profile->streams) {
      if (packets_per_second(stream, profile->link_bps) > 0 && stream.replay.empty()) continue;
      return net::invalid_argument(fmt::format(
          "stream {}: with --reconfigure it has a rate, so that it is known when a lost packet was due", stream.name));
    }
  }
  auto rig = common_.open_rig(*profile);
  if (!rig) return rig.error();
  const StopWatch stop(**rig);
  TrialOptions options{.seconds = warm_up_, .drain_seconds = drain_, .link_bps = profile->link_bps};
  if (warm_up_ > 0) {
    if (auto warmed = (*rig)->run(profile->streams, options); !warmed) return warmed.error();
  }
  options.seconds = seconds_;
  options.packets = packets_;
  options.companion = changes.get();
  if (changes) options.step_seconds = MethodOptions().step_seconds;
  std::optional<LiveScreen> screen;
  if (common_.live) screen.emplace().follow(**rig, profile->streams);
  const auto result = (*rig)->run(profile->streams, options);
  screen.reset();
  if (!result) return result.error();
  auto json = nlohmann::ordered_json{{"kind", "run"}, {"machine", fingerprint((*rig)->memory())}};
  json["result"] = trial_json(*result);
  std::string text = trial_text(*result);
  if (changes) {
    json["result"]["reconfiguration"] = changes_json(changes->changes(), *result);
    text += changes_text(changes->changes(), *result);
  }
  fmt::print("{}", common_.json ? json.dump() + "\n" : text);
  return write_result(common_, json, trial_csv(*result));
}

}  // namespace millrace::perf::gen
