/// Source: where the next packet of a stream comes from. A stream of templates, or a recording.
///
/// Thread:  one. build() never allocates.
#pragma once

#include <cstdint>
#include <memory>

#include "perf/gen/stream/stream.h"

namespace millrace::perf::gen {

class Source {
 public:
  virtual ~Source() = default;
  /// Writes the next frame; returns its bytes.
  virtual std::uint32_t build(std::uint8_t* frame, const Tag& tag) noexcept = 0;
};

class StreamSource final : public Source {
 public:
  explicit StreamSource(Stream stream) : stream_(std::move(stream)) {}
  std::uint32_t build(std::uint8_t* frame, const Tag& tag) noexcept override { return stream_.build(frame, tag); }

 private:
  Stream stream_;
};

}  // namespace millrace::perf::gen
