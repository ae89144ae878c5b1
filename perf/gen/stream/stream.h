/// Stream: a description compiled to what the sending loop needs: templates by size, the field program, who comes next.
///
/// Shape:   build() writes a whole frame with right checksums into `frame`; the next in the stream's order of flows and
///          sizes. Sizes follow one another by a fixed table in which each has its weight, spread as evenly as it goes.
/// Thread:  one. Never allocates once made.
/// Errors:  compile: kInvalidArgument names the field and the limit.
#pragma once

#include <cstdint>
#include <vector>

#include "net/result.h"
#include "perf/gen/measure/tag.h"
#include "perf/gen/stream/field_program.h"
#include "perf/gen/stream/flow_order.h"

namespace millrace::perf::gen {

class Stream {
 public:
  static net::Result<Stream> compile(const StreamDescription& description);

  /// Returns the bytes written, at most frame_bytes_most().
  std::uint32_t build(std::uint8_t* frame, const Tag& tag) noexcept;
  std::uint32_t frame_bytes_most() const noexcept { return most_bytes_; }
  const StreamDescription& description() const noexcept { return description_; }

 private:
  Stream(StreamDescription description, FlowPicker picker)
      : description_(std::move(description)), picker_(std::move(picker)) {}

  StreamDescription description_;
  FlowPicker picker_;
  FieldProgram program_;
  std::vector<FrameTemplate> frames_;
  std::vector<std::uint8_t> turns_;  // indexes of frames_
  std::size_t turn_ = 0;
  std::uint32_t most_bytes_ = 0;
};

/// Sizes in an order in which each stands as often as its weight says, spread evenly.
std::vector<std::uint8_t> spread_sizes(const std::vector<SizeShare>& sizes);

}  // namespace millrace::perf::gen
