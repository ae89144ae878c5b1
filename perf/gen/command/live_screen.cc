#include "perf/gen/command/live_screen.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace millrace::perf::gen {
namespace {

constexpr const char* kHideCursor = "\x1b[?25l";
constexpr const char* kShowCursor = "\x1b[?25h";
constexpr const char* kClearLine = "\x1b[K";

bool draws_in_place() {
  const char* const term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) != 0 && term != nullptr && std::string_view(term) != "dumb";
}

void write(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

LiveScreen::LiveScreen() : terminal_(draws_in_place()) {
  if (terminal_) write(kHideCursor);
}

LiveScreen::~LiveScreen() {
  if (!terminal_) return;
  clear();
  write(kShowCursor);
}

void LiveScreen::follow(Rig& rig, const std::vector<StreamDescription>& streams) {
  names_.clear();
  for (const StreamDescription& stream : streams) names_.push_back(stream.name);
  rig.on_live([this](const LiveSample& sample) {
    if (terminal_) return show(history_.add(sample, names_));
    write(live_line(sample) + "\n");
  });
  rig.on_live([this](const ConnectSample& sample) {
    if (terminal_) return show(history_.add(sample));
    write(live_line(sample) + "\n");
  });
}

void LiveScreen::clear() {
  if (drawn_ != 0) write(fmt::format("\x1b[{}A\r\x1b[J", drawn_));
  drawn_ = 0;
}

void LiveScreen::note(const std::string& line) {
  if (terminal_) clear();
  write(line);
}

void LiveScreen::show(const LiveFrame& frame) {
  winsize size{};
  ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
  const std::size_t columns = size.ws_col > 20 ? size.ws_col : 80, lines = size.ws_row > 4 ? size.ws_row : 24;
  const std::vector<std::string> text = draw(frame, columns - 1, lines - 1);
  // One write, and each line is written over the one that was there: nothing flickers.
  std::string out = drawn_ == 0 ? std::string("\r") : fmt::format("\x1b[{}A\r", drawn_);
  for (const std::string& line : text) out += line + kClearLine + "\n";
  if (text.size() < drawn_) out += "\x1b[J";
  write(out);
  drawn_ = text.size();
}

}  // namespace millrace::perf::gen
