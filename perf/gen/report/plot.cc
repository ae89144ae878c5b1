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
constexpr double kLetter = 6.4;  // mean width of the legend's
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
  std::string svg;
  if (series.line) {
    std::string path;
    for (const auto& [at_x, at_y] : series.points) {
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : " L", x.at(at_x), y.at(at_y));
    }
    svg += fmt::format("<path d='{}' fill='none' stroke='{}' stroke-width='{}'{}/>", path, colour,
                       series.dashed ? "1.2" : "2", series.dashed ? " stroke-dasharray='5 4'" : "");
  }
  if (series.line && !series.dots) return svg;
  for (const auto& [at_x, at_y] : series.points) {
    svg += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='4' fill='{}'/>", x.at(at_x), y.at(at_y), colour);
  }
  return svg;
}

std::string draw_marks(const std::vector<Plot::Mark>& marks, const Scale& x) {
  std::string svg;
  for (const Plot::Mark& mark : marks) {
    svg += fmt::format(
        "<line class='mark' x1='{0:.1f}' y1='{1}' x2='{0:.1f}' y2='{2}'/><text x='{3:.1f}' y='{4}'>{5}</text>",
        x.at(mark.x), kTop, kHeight - kBottom, x.at(mark.x) + 3, kTop + 10, escape(mark.text));
  }
  return svg;
}

/// One after another, as many in a line as there is room for; `height`: where the last one ends.
std::string draw_legend(const Plot& plot, const std::vector<const char*>& colours, double& height) {
  std::string svg;
  double at_x = kLeft, at_y = kHeight + 12;
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const Series& series = plot.series[i];
    if (series.points.empty()) continue;
    const double width = 18 + kLetter * static_cast<double>(series.name.size()) + 16;
    if (at_x > kLeft && at_x + width > kWidth) {
      at_x = kLeft;
      at_y += 20;
    }
    svg += series.line
               ? fmt::format("<line x1='{0}' y1='{1}' x2='{2}' y2='{1}' stroke='{3}' stroke-width='2'{4}/>", at_x,
                             at_y - 4, at_x + 13, colours[i], series.dashed ? " stroke-dasharray='4 3'" : "")
               : fmt::format("<circle cx='{}' cy='{}' r='4' fill='{}'/>", at_x + 6, at_y - 4, colours[i]);
    svg += fmt::format("<text x='{}' y='{}'>{}</text>", at_x + 18, at_y, escape(series.name));
    at_x += width;
  }
  height = at_y + 10;
  return svg;
}

/// A dashed line has the colour of its neighbour of the same result: what goes together looks alike.
std::vector<const char*> colours_of(const std::vector<Series>& series) {
  const auto owner = [](const Series& one) { return one.name.substr(0, one.name.rfind(": ")); };
  std::vector<const char*> colours;
  std::size_t next = 0;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const bool paired = i > 0 && series[i].dashed != series[i - 1].dashed && owner(series[i]) == owner(series[i - 1]);
    colours.push_back(paired ? colours.back() : kColours[next++ % kColours.size()]);
  }
  return colours;
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
  double height = 0;
  const std::vector<const char*> colours = colours_of(plot.series);
  const std::string legend = draw_legend(plot, colours, height);
  std::string svg =
      fmt::format("<svg viewBox='0 0 {} {}' role='img'><title>{}</title><text class='title' x='{}' y='20'>{}</text>",
                  kWidth, height, escape(plot.title), kLeft, escape(plot.title));
  svg += draw_axes(plot, x, y) + draw_marks(plot.marks, x);
  for (std::size_t i = 0; i < plot.series.size(); ++i) svg += draw_series(plot.series[i], x, y, colours[i]);
  svg += legend;
  return svg + "</svg>\n";
}

}  // namespace millrace::perf::gen
