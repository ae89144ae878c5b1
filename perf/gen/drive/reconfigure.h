/// Reconfiguration: commands that change the device under test while packets run, and what each of them cost.
///
/// Shape:   Reconfigurer runs the command at `first_seconds`, then every `every_seconds`, as long as the trial sends; a
///          command that is not done when the next is due delays it. "{i}" in it is the number of the change, from 1.
///          A change's time goes from the command's start to the start of the next one, or to the end of the trial:
///          what was due in it and did not come is its loss, and the longest gap between two arrivals that began in it
///          is its gap.
/// Effect:  a stream that came before the command and not at the end of its time stopped with it; one that did not come
///          and does, began. When is the last or the first packet that came, by when it was due, from the command's
///          start.
/// Errors:  of commands are kept with the change, and the trial goes on: a change that failed may cost something, too.
/// Thread:  Reconfigurer: begin and end on one thread, commands on one of its own. The rest: pure functions.
#pragma once

#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "perf/gen/drive/shell_command.h"
#include "perf/gen/run/trial.h"

namespace millrace::perf::gen {

struct ReconfigureOptions {
  std::string command;
  double first_seconds = 1, every_seconds = 5;
  ShellOptions shell;
};

struct Change {
  std::string command;
  double began_seconds = 0, took_seconds = 0;  // the former from the start of the trial
  std::string error;                           // empty: it went well
};

class Reconfigurer final : public TrialCompanion {
 public:
  explicit Reconfigurer(ReconfigureOptions options) : options_(std::move(options)) {}
  ~Reconfigurer() override { end(); }

  void begin(std::function<double()> since_start, double seconds) override;
  void end() override;
  /// After end().
  const std::vector<Change>& changes() const noexcept { return changes_; }

 private:
  void run(const std::function<double()>& since_start, double seconds);

  ReconfigureOptions options_;
  std::vector<Change> changes_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

/// What a change did to one stream.
struct Effect {
  enum class Kind : std::uint8_t { kNone, kStopped, kBegan };
  std::uint64_t due = 0, lost = 0, gap_ns = 0;
  Kind kind = Kind::kNone;
  double after_seconds = 0;  // of kStopped, kBegan: from the command's start
};

/// Of the time [from, to) of the trial, in seconds. Precision: a step of the timeline at both ends.
Effect effect_of(const Timeline& timeline, double from_seconds, double to_seconds);

/// For a person: a line a change and stream.
std::string changes_text(const std::vector<Change>& changes, const TrialResult& result);
/// {changes [{command, began_seconds, took_seconds, error, due, lost, longest_gap_ns, streams [{name, due, lost,
/// longest_gap_ns, effect, effect_ns}]}], losses [{stream, step_seconds, lost [[step, packets]]}]}
nlohmann::ordered_json changes_json(const std::vector<Change>& changes, const TrialResult& result);

}  // namespace millrace::perf::gen
