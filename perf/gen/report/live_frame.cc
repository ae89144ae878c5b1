#include "perf/gen/report/live_frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace millrace::perf::gen {
namespace {

constexpr std::array<const char*, 9> kHeights = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::size_t kLabelWidth = 14, kCellWidth = 12;

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }

std::string cut(const std::string& text, std::size_t columns) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (begins_character(text[i]) && seen++ == columns) return text.substr(0, i);
  }
  return text;
}

std::string line_of(const std::vector<std::string>& cells) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    line += i == 0 ? fmt::format("{:<{}}", cut(cells[i], kLabelWidth - 1), kLabelWidth)
                   : fmt::format("{:>{}}", cells[i], kCellWidth);
  }
  return line;
}

}  // namespace

std::string sparkline(const std::deque<double>& values, std::size_t width) {
  const std::size_t first = values.size() - std::min(values.size(), width);
  double most = 0;
  for (std::size_t i = first; i < values.size(); ++i) most = std::max(most, values[i]);
  std::string text;
  for (std::size_t i = first; i < values.size(); ++i) {
    const double share = most > 0 ? std::clamp(values[i] / most, 0.0, 1.0) : 0;
    text += kHeights[static_cast<std::size_t>(std::ceil(share * 8))];
  }
  return text;
}

std::string bar(double share, std::size_t width) {
  const auto full = static_cast<std::size_t>(std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(width)));
  std::string text;
  for (std::size_t i = 0; i < width; ++i) text += i < full ? "█" : "░";
  return text;
}

std::vector<std::string> draw(const LiveFrame& frame, std::size_t columns, std::size_t lines) {
  std::vector<std::string> text = {frame.title};
  const std::size_t rest = 2 + frame.sparks.size() + frame.notes.size();  // title, column names, what follows the table
  const std::size_t room = lines > rest ? lines - rest : 0;
  const bool all = frame.rows.size() <= room;
  const std::size_t shown = all ? frame.rows.size() : room - std::min<std::size_t>(room, 1);
  text.push_back(line_of(frame.columns));
  for (std::size_t i = 0; i < shown; ++i) text.push_back(line_of(frame.rows[i]));
  if (!all) text.push_back(fmt::format("... and {} more", frame.rows.size() - shown));
  const std::size_t beside = kLabelWidth + kCellWidth + 2;
  for (const Spark& spark : frame.sparks) {
    const std::size_t width = columns > beside ? columns - beside : 1;
    text.push_back(fmt::format("{:<{}}{:>{}}  {}", spark.label, kLabelWidth, spark.now, kCellWidth,
                               sparkline(spark.values, width)));
  }
  text.insert(text.end(), frame.notes.begin(), frame.notes.end());
  if (text.size() > lines) text.resize(lines);
  for (std::string& line : text) line = cut(line, columns);
  return text;
}

}  // namespace millrace::perf::gen
