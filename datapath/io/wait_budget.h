/// WaitBudget: for how long somebody who serves many may wait for one of them.
///
/// Theory:  whoever waits for a peer at most a moment each time is held up by a peer that takes that moment again and
///          again, and by one that comes anew each time. So what is waited for it is added up: kWait in kWindow, all its
///          messages and connections together, and beyond that nothing. A peer that is honest needs next to nothing of
///          it, and a hostile one takes kWait / kWindow = 0.5 % of the thread's time.
/// Thread:  one, or one after the other.
#pragma once

#include <algorithm>
#include <chrono>

namespace millrace::datapath::io {

class WaitBudget {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kWait{50};
  static constexpr std::chrono::seconds kWindow{10};

  /// What may still be waited, not below zero.
  Clock::duration left(Clock::time_point now) noexcept {
    if (now >= ends_at_) {
      ends_at_ = now + kWindow;
      spent_ = {};
    }
    return std::max<Clock::duration>(kWait - spent_, Clock::duration::zero());
  }
  void spend(Clock::duration waited) noexcept { spent_ += waited; }

 private:
  Clock::time_point ends_at_{};  // of the window
  Clock::duration spent_{};
};

}  // namespace millrace::datapath::io
