/// Plot: lines or dots of several series as one inline SVG.
///
/// Shape:   axes are linear or logarithmic; on a logarithmic one values below its least positive value are drawn there.
///          Ticks are round numbers. Series have a name in the legend and one of eight colours told apart by the
///          colour-blind (Okabe and Ito), in order. No scripts, no outside resources; text is escaped.
/// Thread:  pure functions; allocates.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace millrace::perf::gen {

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;
  bool line = true;     // else dots
  bool dots = false;    // on a line, too
  bool dashed = false;  // in the colour of its neighbour of the same result
};

struct Axis {
  std::string label;
  bool logarithmic = false;
  std::function<std::string(double)> text;  // of a tick
};

struct Plot {
  std::string title;
  struct Mark {
    double x = 0;
    std::string text;
  };
  Axis x, y;
  std::vector<Series> series;
  std::vector<Mark> marks = {};  // vertical lines
};

/// Empty when no series has a point.
std::string draw(const Plot& plot);

/// For HTML and SVG text and attributes.
std::string escape(const std::string& text);

/// Ticks of an axis from `least` to `most`: 1, 2 or 5 times a power of ten, or powers of ten on a logarithmic one.
std::vector<double> ticks(double least, double most, bool logarithmic);

}  // namespace millrace::perf::gen
