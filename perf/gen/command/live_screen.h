/// LiveScreen: a run as it goes on, on the terminal: one block of lines that is drawn again in place.
///
/// Shape:   on stderr, so that stdout has the result alone. Where stderr is no terminal, or a dumb one, a line a
///          sample. Lines that stay, such as a trial's result, go above the block. The block is gone when the screen
///          is.
/// Thread:  one.
#pragma once

#include <string>
#include <vector>

#include "perf/gen/device/rig.h"
#include "perf/gen/report/live_text.h"

namespace millrace::perf::gen {

class LiveScreen {
 public:
  LiveScreen();
  ~LiveScreen();
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;

  /// Shows every sample of the rig's; it must not outlive the screen's last run.
  void follow(Rig& rig, const std::vector<StreamDescription>& streams);
  void show(const LiveFrame& frame);
  /// A line that stays.
  void note(const std::string& line);

 private:
  void clear();

  bool terminal_;
  std::size_t drawn_ = 0;  // lines of the block
  std::vector<std::string> names_;
  LiveHistory history_;
};

}  // namespace millrace::perf::gen
