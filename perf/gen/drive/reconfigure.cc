#include "perf/gen/drive/reconfigure.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "perf/gen/report/trial_text.h"

namespace millrace::perf::gen {
namespace {

constexpr double kLookSeconds = 0.05;
constexpr double kSteadySeconds = 0.02;  // so long before and after is looked at to tell whether a stream comes

bool comes(const std::vector<TimelineStep>& steps, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < std::min(to, steps.size()); ++i) {
    if (steps[i].received != 0) return true;
  }
  return false;
}

const char* name_of(Effect::Kind kind) {
  switch (kind) {
    case Effect::Kind::kNone: return "none";
    case Effect::Kind::kStopped: return "stopped";
    case Effect::Kind::kBegan: return "began";
  }
  return "none";
}

/// When the time of change `index` ends.
double end_of(const std::vector<Change>& changes, std::size_t index, const TrialResult& result) {
  return index + 1 < changes.size() ? changes[index + 1].began_seconds : result.seconds;
}

}  // namespace

void Reconfigurer::begin(std::function<double()> since_start, double seconds) {
  end();
  changes_.clear();
  over_.store(false);
  thread_ = std::thread([this, since_start = std::move(since_start), seconds] { run(since_start, seconds); });
}

void Reconfigurer::end() {
  over_.store(true);
  if (thread_.joinable()) thread_.join();
}

void Reconfigurer::run(const std::function<double()>& since_start, double seconds) {
  const auto stopped = [this] { return options_.shell.stopped && options_.shell.stopped(); };
  double due = options_.first_seconds;
  while (!over_.load() && !stopped()) {
    const double now = since_start();
    if (now >= seconds) return;
    if (now < due) {
      std::this_thread::sleep_for(std::chrono::duration<double>(std::min(due - now, kLookSeconds)));
      continue;
    }
    Change change{.command = with_value(options_.command, "i", changes_.size() + 1),
                  .began_seconds = now,
                  .took_seconds = 0,
                  .error = {}};
    const auto done = run_shell(change.command, options_.shell);
    change.took_seconds = since_start() - now;
    if (!done) change.error = done.error().message;
    changes_.push_back(std::move(change));
    due = std::max(due + options_.every_seconds, since_start());
  }
}

Effect effect_of(const Timeline& timeline, double from_seconds, double to_seconds) {
  Effect effect;
  const double step_seconds = static_cast<double>(timeline.step_ns()) / 1e9;
  const std::vector<TimelineStep>& steps = timeline.steps();
  const auto index = [&](double seconds) {
    return std::min(static_cast<std::size_t>(std::max(0.0, seconds) / step_seconds), steps.size());
  };
  const std::size_t from = index(from_seconds), to = index(to_seconds);
  std::size_t first = to, last = from;
  for (std::size_t i = from; i < to; ++i) {
    effect.due += steps[i].due;
    effect.lost += steps[i].due - std::min(steps[i].due, steps[i].received);
    if (steps[i].received == 0) continue;
    first = std::min(first, i);
    last = i;
  }
  // A gap that a command makes may begin at the last packet before it.
  const std::size_t end = to == steps.size() || to == from ? to : to - 1;
  for (std::size_t i = from == 0 ? 0 : from - 1; i < end; ++i) effect.gap_ns = std::max(effect.gap_ns, steps[i].gap_ns);
  const auto steady = static_cast<std::size_t>(std::ceil(kSteadySeconds / step_seconds));
  if (from < steady || to - from < 2 * steady) return effect;
  const bool before = comes(steps, from - steady, from), after = comes(steps, to - steady, to);
  if (before == after) return effect;
  effect.kind = before ? Effect::Kind::kStopped : Effect::Kind::kBegan;
  const double at = static_cast<double>(before ? last + 1 : first) * step_seconds;
  effect.after_seconds = std::max(0.0, at - from_seconds);
  return effect;
}

std::string changes_text(const std::vector<Change>& changes, const TrialResult& result) {
  std::string text;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    text += fmt::format("change {:<5} at {:.3f} s, took {}  {}\n", i + 1, change.began_seconds,
                        time_text(change.took_seconds * 1e9), change.error.empty() ? change.command : change.error);
    for (const StreamResult& stream : result.streams) {
      if (!stream.timeline) continue;
      const Effect effect = effect_of(*stream.timeline, change.began_seconds, end_of(changes, i, result));
      text += fmt::format("  {:<10} lost {} of {}  longest gap {}", stream.name, effect.lost, effect.due,
                          time_text(static_cast<double>(effect.gap_ns)));
      if (effect.kind != Effect::Kind::kNone) {
        text += fmt::format("  {} after {}", name_of(effect.kind), time_text(effect.after_seconds * 1e9));
      }
      text += "\n";
    }
  }
  return changes.empty() ? "no change was made: the trial was over before the first was due\n" : text;
}

nlohmann::ordered_json changes_json(const std::vector<Change>& changes, const TrialResult& result) {
  using Json = nlohmann::ordered_json;
  Json json = {{"changes", Json::array()}, {"losses", Json::array()}};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    Json entry = {{"command", change.command},
                  {"began_seconds", change.began_seconds},
                  {"took_seconds", change.took_seconds},
                  {"error", change.error}};
    Json streams = Json::array();
    std::uint64_t due = 0, lost = 0, gap_ns = 0;
    for (const StreamResult& stream : result.streams) {
      if (!stream.timeline) continue;
      const Effect effect = effect_of(*stream.timeline, change.began_seconds, end_of(changes, i, result));
      due += effect.due;
      lost += effect.lost;
      gap_ns = std::max(gap_ns, effect.gap_ns);
      streams.push_back({{"name", stream.name},
                         {"due", effect.due},
                         {"lost", effect.lost},
                         {"longest_gap_ns", effect.gap_ns},
                         {"effect", name_of(effect.kind)}});
      if (effect.kind != Effect::Kind::kNone) streams.back()["effect_ns"] = std::llround(effect.after_seconds * 1e9);
    }
    entry.update({{"due", due}, {"lost", lost}, {"longest_gap_ns", gap_ns}, {"streams", std::move(streams)}});
    json["changes"].push_back(std::move(entry));
  }
  for (const StreamResult& stream : result.streams) {
    if (!stream.timeline) continue;
    Json lost = Json::array();
    for (std::size_t i = 0; i < stream.timeline->steps().size(); ++i) {
      const TimelineStep& step = stream.timeline->steps()[i];
      if (step.due > step.received) lost.push_back({i, step.due - step.received});
    }
    json["losses"].push_back({{"stream", stream.name},
                              {"step_seconds", static_cast<double>(stream.timeline->step_ns()) / 1e9},
                              {"lost", std::move(lost)}});
  }
  return json;
}

}  // namespace millrace::perf::gen
