#include "perf/gen/run/trial.h"

#include <algorithm>

namespace millrace::perf::gen {

StreamResult TrialResult::total() const {
  StreamResult total;
  total.name = "total";
  for (const StreamResult& stream : streams) {
    total.due += stream.due;
    total.sent += stream.sent;
    total.sent_bytes += stream.sent_bytes;
    total.untagged += stream.untagged;
    total.received += stream.received;
    total.latency.merge(stream.latency);
  }
  return total;
}

void count_due(Timeline& timeline, const Schedule& schedule, std::uint64_t start_ns, std::uint64_t end_ns) {
  std::uint64_t before = 0, at_ns = start_ns;
  for (TimelineStep& step : timeline.steps()) {
    at_ns += timeline.step_ns();
    const bool last = &step == &timeline.steps().back();
    const std::uint64_t due = schedule.is_paced() ? schedule.due_before(last ? end_ns : std::min(at_ns, end_ns)) : 0;
    step.due = schedule.is_paced() ? static_cast<std::uint32_t>(due - before) : step.received;
    before = due;
  }
}

double loss_ratio(const StreamResult& result) noexcept {
  return result.due == 0 ? 0 : static_cast<double>(result.lost()) / static_cast<double>(result.due);
}

}  // namespace millrace::perf::gen
