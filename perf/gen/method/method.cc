#include "perf/gen/method/method.h"

#include <fmt/format.h>

#include <algorithm>

#include "perf/gen/method/rates.h"

namespace millrace::perf::gen {
namespace {

constexpr unsigned kMostSteps = 30;   // a binary search of doubles ends long before
constexpr double kLeastShare = 1e-4;  // of the highest rate: what loses below it has no throughput

std::string size_name(std::uint32_t bytes) { return fmt::format("{} B", bytes); }

}  // namespace

net::Result<const Point*> Method::measure(const std::string& row, const std::vector<StreamDescription>& streams,
                                          double pps, double loss_allowed) {
  auto result = runner_.run(streams, options_.trial);
  if (!result) return result.error();
  Point point{.row = row, .offered_pps = pps, .passed = false, .result = *std::move(result)};
  const StreamResult total = point.result.total();
  point.passed = total.due != 0 && loss_ratio(total) <= loss_allowed && point.result.not_established == 0;
  result_.points.push_back(std::move(point));
  if (watcher_) watcher_(result_.points.back());
  return &result_.points.back();
}

net::Result<const Point*> Method::trial(const std::string& row, double pps, double loss_allowed) {
  return measure(row, with_rate(streams_, pps, options_.trial.link_bps), pps, loss_allowed);
}

net::Result<double> Method::first_rate(const std::string& row, double loss_allowed) {
  if (options_.most_pps > 0) return options_.most_pps;
  for (const Point& point : result_.points) {
    if (point.row == row && point.offered_pps == 0) {
      return static_cast<double>(point.result.total().sent) / point.result.seconds;
    }
  }
  const auto flood = trial(row, 0, loss_allowed);
  if (!flood) return flood.error();
  return static_cast<double>((*flood)->result.total().sent) / (*flood)->result.seconds;
}

net::Result<const Point*> Method::search(const std::string& row, double loss_allowed) {
  const auto first = first_rate(row, loss_allowed);
  if (!first) return first.error();
  double low = 0, high = 0;  // high 0: nothing failed yet
  std::size_t best = result_.points.size();
  const auto judge = [&](std::size_t index) {
    const Point& point = result_.points[index];
    if (point.row != row || point.offered_pps == 0) return;
    if (loss_ratio(point.result.total()) > loss_allowed || point.result.not_established != 0) {
      high = high == 0 ? point.offered_pps : std::min(high, point.offered_pps);
    } else if (point.offered_pps > low) {
      low = point.offered_pps;
      best = index;
    }
  };
  for (std::size_t i = 0; i < result_.points.size(); ++i) judge(i);
  // A rate that failed once bounds the search, though a higher one may have passed by luck.
  for (unsigned step = 0; step < kMostSteps; ++step) {
    const double next = high == 0 ? *first : (std::min(low, high) + high) / 2;
    if (high != 0 && (high - low <= options_.precision * high || next < *first * kLeastShare)) break;
    if (high == 0 && low >= *first) break;  // the highest rate there is passed
    if (auto tried = trial(row, next, loss_allowed); !tried) return tried.error();
    judge(result_.points.size() - 1);
  }
  if (best == result_.points.size() || low == 0) return nullptr;
  return &result_.points[best];
}

net::Result<MethodResult> Method::throughput() {
  result_.method = "throughput";
  const std::vector<StreamDescription> own = streams_;
  std::vector<std::uint32_t> sizes = options_.sizes;
  if (sizes.empty()) sizes.push_back(0);
  for (const std::uint32_t size : sizes) {
    if (size != 0) streams_ = with_size(own, size);
    if (auto searched = search_row(size == 0 ? "streams" : size_name(size)); !searched) return searched.error();
  }
  return std::move(result_);
}

net::Result<void> Method::search_row(const std::string& row) {
  const auto best = search(row, 0);
  if (!best) return best.error();
  result_.rows.push_back(row_of(row, *best, {{"throughput_pps", *best == nullptr ? 0 : (*best)->offered_pps}}));
  return {};
}

net::Result<MethodResult> Method::ndr_pdr() {
  result_.method = "ndr-pdr";
  const std::vector<StreamDescription> own = streams_;
  std::vector<std::uint32_t> sizes = options_.sizes;
  if (sizes.empty()) sizes.push_back(0);
  for (const std::uint32_t size : sizes) {
    const std::string row = size == 0 ? "streams" : size_name(size);
    if (size != 0) streams_ = with_size(own, size);
    const auto pdr = search(row, options_.pdr_loss);
    if (!pdr) return pdr.error();
    const double pdr_pps = *pdr == nullptr ? 0 : (*pdr)->offered_pps;
    const auto ndr = search(row, 0);
    if (!ndr) return ndr.error();
    result_.rows.push_back(
        row_of(row, *ndr, {{"ndr_pps", *ndr == nullptr ? 0 : (*ndr)->offered_pps}, {"pdr_pps", pdr_pps}}));
  }
  return std::move(result_);
}

net::Result<MethodResult> Method::latency() {
  result_.method = "latency";
  const auto best = search("throughput", 0);
  if (!best) return best.error();
  const double most = *best == nullptr ? 0 : (*best)->offered_pps;
  result_.rows.push_back(row_of("throughput", *best, {{"offered_pps", most}}));
  if (most == 0) return std::move(result_);
  for (const int percent : {10, 50, 90}) {
    const std::string row = fmt::format("{} %", percent);
    const auto point = trial(row, most * percent / 100, 0);
    if (!point) return point.error();
    result_.rows.push_back(row_of(row, *point, {{"offered_pps", (*point)->offered_pps}}));
  }
  return std::move(result_);
}

net::Result<bool> Method::burst_passes(const std::string& row, std::uint64_t packets) {
  const TrialOptions own = options_.trial;
  options_.trial.packets = packets;
  options_.trial.seconds = std::max(own.seconds, 1.0);
  const auto point = trial(row, 0, 0);
  options_.trial = own;
  if (!point) return point.error();
  return (*point)->passed;
}

net::Result<MethodResult> Method::back_to_back() {
  result_.method = "back-to-back";
  // Two seconds at the highest rate, RFC 9004 section 5.4; what the devices take tells how many that are.
  const auto first = first_rate("rate", 0);
  if (!first) return first.error();
  const auto most = static_cast<std::uint64_t>(std::max(2 * *first / static_cast<double>(streams_.size()), 1.0));
  double sum = 0, least = 0, longest = 0;
  for (unsigned repeat = 0; repeat < options_.repeats; ++repeat) {
    const std::string row = fmt::format("burst {}", repeat + 1);
    std::uint64_t low = 0, high = most + 1;
    for (std::uint64_t next = most; high - low > std::max<std::uint64_t>(1, high / 200);
         next = low + (high - low) / 2) {
      const auto passed = burst_passes(row, next);
      if (!passed) return passed.error();
      (*passed ? low : high) = next;
    }
    const auto frames = static_cast<double>(low);
    sum += frames;
    least = repeat == 0 ? frames : std::min(least, frames);
    longest = std::max(longest, frames);
  }
  Row row{.name = "burst", .figures = {}, .latency = std::nullopt};
  row.figures = {{"mean_frames", sum / options_.repeats},
                 {"least_frames", least},
                 {"most_frames", longest},
                 {"sent_pps", *first},
                 {"longest_tried", static_cast<double>(most)}};
  result_.rows.push_back(std::move(row));
  return std::move(result_);
}

net::Result<MethodResult> Method::frame_loss() {
  result_.method = "frame-loss";
  const auto first = first_rate("max", 0);
  if (!first) return first.error();
  unsigned clean = 0;
  for (int percent = 100; percent > 0 && clean < 2; percent -= 10) {
    const std::string row = fmt::format("{} %", percent);
    const auto point = trial(row, *first * percent / 100, 0);
    if (!point) return point.error();
    clean = (*point)->passed ? clean + 1 : 0;
    result_.rows.push_back(row_of(row, *point, {{"offered_pps", (*point)->offered_pps}}));
  }
  return std::move(result_);
}

net::Result<MethodResult> Method::soak() {
  result_.method = "soak";
  double done = 0;
  Row all{.name = "all", .figures = {}, .latency = Histogram()};
  std::uint64_t due = 0, lost = 0, most_lost = 0;
  while (done < options_.soak_seconds) {
    const std::string row = fmt::format("{:.10g} s", done);
    const auto point = measure(row, streams_, 0, 0);
    if (!point) return point.error();
    result_.rows.push_back(row_of(row, *point, {{"begins_seconds", done}}));
    const StreamResult total = (*point)->result.total();
    due += total.due;
    lost += total.lost();
    most_lost = std::max(most_lost, total.lost());
    all.latency->merge(total.latency);
    // Days of trials: their histograms live on in one, and the rows have their figures.
    result_.rows.back().latency.reset();
    result_.points.clear();
    done += options_.trial.seconds;
  }
  all.figures = {{"due", static_cast<double>(due)},
                 {"lost", static_cast<double>(lost)},
                 {"most_lost_in_a_trial", static_cast<double>(most_lost)},
                 {"p50_ns", static_cast<double>(all.latency->percentile(50))},
                 {"p99_ns", static_cast<double>(all.latency->percentile(99))},
                 {"p99_9_ns", static_cast<double>(all.latency->percentile(99.9))},
                 {"max_ns", static_cast<double>(all.latency->most())}};
  result_.rows.push_back(std::move(all));
  return std::move(result_);
}

}  // namespace millrace::perf::gen
