/// LiveFrame: what a terminal shows of a run that goes on, as lines of text.
///
/// Shape:   a title, a table, sparklines of the last values, notes. draw() gives lines no wider than the terminal, and
///          no more than it has: rows of the table go first, and how many went is said.
/// Width:   in characters; of UTF-8 each of the code points used here takes one column.
/// Thread:  pure functions.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

namespace millrace::perf::gen {

struct Spark {
  std::string label, now;
  std::deque<double> values;  // oldest first
};

struct LiveFrame {
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // cells, the first to the left, others to the right
  std::vector<Spark> sparks;
  std::vector<std::string> notes;
};

/// Eight heights from 0 to the largest value; the newest `width` values.
std::string sparkline(const std::deque<double>& values, std::size_t width);

/// A bar of `width` characters for a share of 0 to 1.
std::string bar(double share, std::size_t width);

std::vector<std::string> draw(const LiveFrame& frame, std::size_t columns, std::size_t lines);

}  // namespace millrace::perf::gen
