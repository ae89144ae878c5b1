/// RecordedFrames: a pcap file in memory, to be sent again as it was recorded.
///
/// Shape:   frames as they are, with the time of each from the first. A period is the recording's length plus the mean
///          gap, so that it may follow itself. They carry no tag: what comes back of them counts as `foreign`.
/// Errors:  kNotFound: no such file; kInvalidArgument: no pcap of Ethernet frames, or beyond the limits below, or a
///          frame that was cut when it was recorded.
/// Thread:  load: control. A source: one thread; the frames must outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "net/result.h"
#include "perf/gen/run/schedule.h"
#include "perf/gen/run/source.h"

namespace millrace::perf::gen {

class RecordedFrames {
 public:
  static constexpr std::size_t kMostFrames = 4'000'000;
  static constexpr std::size_t kMostBytes = std::size_t{1} << 30;

  static net::Result<RecordedFrames> load(const std::string& file);

  std::size_t size() const noexcept { return times_ns_.size(); }
  std::span<const std::uint8_t> frame(std::size_t index) const noexcept {
    return std::span(bytes_).subspan(offsets_[index], offsets_[index + 1] - offsets_[index]);
  }
  Recording recording() const noexcept { return {.times_ns = times_ns_, .period_ns = period_ns_}; }
  std::uint32_t most_bytes() const noexcept { return most_bytes_; }

 private:
  void finish();

  std::vector<std::uint8_t> bytes_;
  std::vector<std::size_t> offsets_{0};
  std::vector<std::uint64_t> times_ns_;
  std::uint64_t period_ns_ = 0;
  std::uint32_t most_bytes_ = 0;
};

class RecordedSource final : public Source {
 public:
  explicit RecordedSource(const RecordedFrames& frames) : frames_(frames) {}
  std::uint32_t build(std::uint8_t* frame, const Tag&) noexcept override {
    const auto bytes = frames_.frame(next_);
    next_ = next_ + 1 == frames_.size() ? 0 : next_ + 1;
    std::memcpy(frame, bytes.data(), bytes.size());
    return static_cast<std::uint32_t>(bytes.size());
  }

 private:
  const RecordedFrames& frames_;
  std::size_t next_ = 0;
};

}  // namespace millrace::perf::gen
