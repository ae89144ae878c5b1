#include "perf/gen/run/trial.h"

namespace millrace::perf::gen {

StreamResult TrialResult::total() const {
  StreamResult total;
  total.name = "total";
  for (const StreamResult& stream : streams) {
    total.due += stream.due;
    total.sent += stream.sent;
    total.sent_bytes += stream.sent_bytes;
    total.received += stream.received;
    total.latency.merge(stream.latency);
  }
  return total;
}

double loss_ratio(const StreamResult& result) noexcept {
  return result.due == 0 ? 0 : static_cast<double>(result.lost()) / static_cast<double>(result.due);
}

}  // namespace millrace::perf::gen
