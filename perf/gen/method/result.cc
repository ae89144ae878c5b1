#include "perf/gen/method/result.h"

namespace millrace::perf::gen {

Row row_of(const std::string& name, const Point* point, std::initializer_list<std::pair<std::string, double>> figures) {
  Row row{.name = name, .figures = {}, .latency = std::nullopt};
  row.figures.assign(figures);
  if (point == nullptr) return row;
  const StreamResult total = point->result.total();
  row.figures.emplace_back("received_pps", static_cast<double>(total.received.received) / point->result.seconds);
  row.figures.emplace_back("loss", loss_ratio(total));
  row.figures.emplace_back("p50_ns", static_cast<double>(total.latency.percentile(50)));
  row.figures.emplace_back("p99_ns", static_cast<double>(total.latency.percentile(99)));
  row.figures.emplace_back("p99_9_ns", static_cast<double>(total.latency.percentile(99.9)));
  row.figures.emplace_back("max_ns", static_cast<double>(total.latency.most()));
  row.figures.emplace_back("headroom", point->result.idle);
  if (point->result.not_established != 0) {
    row.figures.emplace_back("not_established", static_cast<double>(point->result.not_established));
  }
  row.latency = total.latency;
  return row;
}

}  // namespace millrace::perf::gen
