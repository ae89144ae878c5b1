#include "perf/gen/report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

namespace millrace::perf::gen {
namespace {

constexpr double kWidth = 860, kHeight = 380, kLeft = 84, kRight = 16, kTop = 34, kBottom = 46;
constexpr std::array<const char*, 8> kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                 "#56b4e9", "#e69f00", "#8a7a00", "#444444"};

/// An axis's values to positions.
class Scale {
 public:
  Scale(const std::vector<Series>& series, bool is_x, bool logarithmic, double from, double to)
      : logarithmic_(logarithmic), from_(from), to_(to) {
    double least = std::numeric_limits<double>::infinity(), most = -least;
    for (const Series& one : series) {
      for (const auto& point : one.points) {
        const double value = is_x ? point.first : point.second;
        if (!std::isfinite(value) || (logarithmic && value <= 0)) continue;
        least = std::min(least, value);
        most = std::max(most, value);
      }
    }
    if (least > most) least = most = 1;
    if (!logarithmic) least = std::min(least, 0.0);
    if (least == most) most = least + (least == 0 ? 1 : std::abs(least));
    least_ = least;
    most_ = most;
  }
  double at(double value) const {
    const double clamped = std::clamp(value, least_, most_);
    const double share =
        logarithmic_ ? std::log(clamped / least_) / std::log(most_ / least_) : (clamped - least_) / (most_ - least_);
    return from_ + share * (to_ - from_);
  }
  std::vector<double> marks() const { return ticks(least_, most_, logarithmic_); }

 private:
  bool logarithmic_;
  double from_, to_, least_ = 0, most_ = 1;
};

std::string tick_text(const Axis& axis, double value) {
  return escape(axis.text ? axis.text(value) : fmt::format("{:g}", value));
}

std::string draw_axes(const Plot& plot, const Scale& x, const Scale& y) {
  std::string svg;
  for (const double value : x.marks()) {
    const double at = x.at(value);
    svg += fmt::format(
        "<line class='grid' x1='{0:.1f}' y1='{1}' x2='{0:.1f}' y2='{2}'/><text x='{0:.1f}' y='{3}' "
        "text-anchor='middle'>{4}</text>",
        at, kTop, kHeight - kBottom, kHeight - kBottom + 16, tick_text(plot.x, value));
  }
  for (const double value : y.marks()) {
    const double at = y.at(value);
    svg += fmt::format(
        "<line class='grid' x1='{0}' y1='{1:.1f}' x2='{2}' y2='{1:.1f}'/><text x='{3}' y='{4:.1f}' "
        "text-anchor='end'>{5}</text>",
        kLeft, at, kWidth - kRight, kLeft - 6, at + 4, tick_text(plot.y, value));
  }
  svg += fmt::format("<text x='{}' y='{}' text-anchor='middle'>{}</text>", (kLeft + kWidth - kRight) / 2, kHeight - 8,
                     escape(plot.x.label));
  svg += fmt::format("<text transform='translate(14 {}) rotate(-90)' text-anchor='middle'>{}</text>",
                     (kTop + kHeight - kBottom) / 2, escape(plot.y.label));
  return svg;
}

std::string draw_series(const Series& series, const Scale& x, const Scale& y, const char* colour) {
  if (!series.line) {
    std::string dots;
    for (const auto& [at_x, at_y] : series.points) {
      dots += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='4' fill='{}'/>", x.at(at_x), y.at(at_y), colour);
    }
    return dots;
  }
  std::string path;
  for (const auto& [at_x, at_y] : series.points) {
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : " L", x.at(at_x), y.at(at_y));
  }
  return fmt::format("<path d='{}' fill='none' stroke='{}' stroke-width='2'/>", path, colour);
}

}  // namespace

std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::vector<double> ticks(double least, double most, bool logarithmic) {
  std::vector<double> marks;
  if (!(least < most)) return marks;
  if (logarithmic) {
    const int first = static_cast<int>(std::ceil(std::log10(least) - 1e-9)),
              last = static_cast<int>(std::floor(std::log10(most) + 1e-9));
    const int step = std::max(1, (last - first) / 8);
    for (int power = first; power <= last; power += step) marks.push_back(std::pow(10, power));
    if (marks.size() >= 2) return marks;
    marks.clear();  // within one decade a linear axis tells more
  }
  const double rough = (most - least) / 6;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double step = power * (rough / power > 5 ? 10 : rough / power > 2 ? 5 : rough / power > 1 ? 2 : 1);
  const auto first = static_cast<std::int64_t>(std::ceil(least / step - 1e-9));
  const auto last = static_cast<std::int64_t>(std::floor(most / step + 1e-9));
  for (std::int64_t mark = first; mark <= last; ++mark) marks.push_back(static_cast<double>(mark) * step);
  return marks;
}

std::string draw(const Plot& plot) {
  if (std::ranges::all_of(plot.series, [](const Series& series) { return series.points.empty(); })) return {};
  const Scale x(plot.series, true, plot.x.logarithmic, kLeft, kWidth - kRight);
  const Scale y(plot.series, false, plot.y.logarithmic, kHeight - kBottom, kTop);
  const double height = kHeight + 20 * std::ceil(static_cast<double>(plot.series.size()) / 3);
  std::string svg =
      fmt::format("<svg viewBox='0 0 {} {}' role='img'><title>{}</title><text class='title' x='{}' y='20'>{}</text>",
                  kWidth, height, escape(plot.title), kLeft, escape(plot.title));
  svg += draw_axes(plot, x, y);
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const char* const colour = kColours[i % kColours.size()];
    svg += draw_series(plot.series[i], x, y, colour);
    const double at_x = kLeft + static_cast<double>(i % 3) * 250,
                 at_y = kHeight + 12 + 20 * std::floor(static_cast<double>(i) / 3);
    svg += fmt::format("<rect x='{}' y='{}' width='12' height='12' fill='{}'/><text x='{}' y='{}'>{}</text>", at_x,
                       at_y - 10, colour, at_x + 18, at_y, escape(plot.series[i].name));
  }
  return svg + "</svg>\n";
}

}  // namespace millrace::perf::gen
