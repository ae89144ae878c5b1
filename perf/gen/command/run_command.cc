#include "perf/gen/command/run_command.h"

#include <fmt/format.h>

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
}

net::Result<void> RunCommand::run() {
  const auto profile = common_.profile();
  if (!profile) return profile.error();
  auto rig = common_.open_rig(*profile);
  if (!rig) return rig.error();
  const StopWatch stop(**rig);
  TrialOptions options{.seconds = warm_up_, .drain_seconds = drain_, .link_bps = profile->link_bps};
  if (warm_up_ > 0) {
    if (auto warmed = (*rig)->run(profile->streams, options); !warmed) return warmed.error();
  }
  options.seconds = seconds_;
  options.packets = packets_;
  if (common_.live) show_live(**rig);
  const auto result = (*rig)->run(profile->streams, options);
  if (!result) return result.error();
  auto json = nlohmann::ordered_json{{"kind", "run"}, {"machine", fingerprint((*rig)->memory())}};
  json["result"] = trial_json(*result);
  if (common_.json) {
    fmt::print("{}\n", json.dump());
  } else {
    fmt::print("{}", trial_text(*result));
  }
  return write_result(common_, json, trial_csv(*result));
}

}  // namespace millrace::perf::gen
