/// What the commands that drive devices have in common: ports, threads, streams, outputs.
///
/// Shape:   a stream comes from a profile or from flags; flags have the names of a profile's keys and the same checks,
///          and with a profile they are refused, so that nobody wonders which of the two holds.
/// Thread:  control code.
#pragma once

#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "perf/gen/device/rig.h"
#include "perf/gen/stream/description.h"

namespace millrace::perf::gen {

class CommonOptions {
 public:
  /// Adds all flags to a command.
  void describe(CLI::App& app);
  void describe_devices(CLI::App& app);
  /// Those of a stream that are named.
  void describe_stream(CLI::App& app, const std::vector<std::string>& names);
  void describe_results(CLI::App& app);

  net::Result<Profile> profile() const;
  /// Opened for packets as long as the profile's.
  net::Result<std::unique_ptr<Rig>> open_rig(const Profile& profile) const;

  bool json = false;
  std::string json_file, csv_file, html_file;
  bool live = false;

 private:
  RigOptions rig_;
  bool no_hugepages_ = false;
  std::string profile_file_, link_ = "10G";
  std::map<std::string, std::string> stream_keys_;  // flag -> value, those that were given
};

/// Flags that a stream has: every scalar key of a profile's stream.
const std::vector<std::pair<const char*, const char*>>& stream_flags();

}  // namespace millrace::perf::gen
