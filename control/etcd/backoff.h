/// How long to wait before the next try: doubling from the first to the last, 50..100 % of it at random, so that the
/// nodes of a cluster do not come back all at the same moment.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace millrace::control::etcd {

class Backoff {
 public:
  using Time = std::chrono::milliseconds;

  Backoff(Time first, Time last) : first_(first), last_(last), next_(first), random_(std::random_device{}()) {}

  void reset() { next_ = first_; }

  Time next() {
    const Time whole = next_;
    next_ = std::min(next_ * 2, last_);
    std::uniform_int_distribution<Time::rep> part(whole.count() / 2, whole.count());
    return Time(part(random_));
  }

 private:
  Time first_, last_, next_;
  std::minstd_rand random_;
};

}  // namespace millrace::control::etcd
