/// FieldProgram: a stream's fields, compiled to stores at fixed offsets.
///
/// Shape:   apply() writes every field's value for one flow number into a copy of the template and adds the words it
///          wrote to the sums of the headers they count in. The template holds zero there, so what is added is all
///          there is.
/// Errors:  compile: kInvalidArgument names the field and the limit.
/// Thread:  apply is const and pure: any thread. Never allocates.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "net/result.h"
#include "perf/gen/stream/frame_template.h"
#include "perf/gen/stream/random.h"

namespace millrace::perf::gen {

/// Sums of what apply() wrote.
struct FieldSums {
  net::Sum ip = 0, l4 = 0;
};

class FieldProgram {
 public:
  /// Compiles the stream's fields; their bytes are cleared in each of `frames`, which may not change afterwards.
  static net::Result<FieldProgram> compile(const StreamDescription& stream, std::span<FrameTemplate> frames);

  FieldSums apply(std::uint8_t* frame, std::uint32_t flow) const noexcept {
    FieldSums sums;
    for (const Op& op : ops_) {
      const net::Sum sum = op.list.empty() ? store_number(frame, op, flow) : store_listed(frame, op, flow);
      sums.ip += sum & op.ip_mask;
      sums.l4 += sum & op.l4_mask;
    }
    return sums;
  }

 private:
  struct Listed {
    FieldValue bytes{};
    std::uint16_t sum = 0;
  };
  struct Op {
    std::uint16_t offset = 0;
    std::uint8_t bytes = 2;  // numbers: 2 or 4
    std::uint8_t shift = 0;
    bool random = false;
    std::uint32_t first = 0, count = 1, step = 1, divisor = 1;
    std::uint64_t seed = 0;
    net::Sum ip_mask = 0, l4_mask = 0;
    std::vector<Listed> list;
  };

  static std::uint32_t turn(std::uint32_t flow, const Op& op, std::uint32_t count) noexcept {
    const std::uint32_t digit = op.divisor == 1 ? flow : flow / op.divisor;
    // A list has values and a count is at least 1: compile() saw to it.
    return digit < count ? digit : digit % count;  // NOLINT(clang-analyzer-core.DivideZero)
  }

  static net::Sum store_number(std::uint8_t* frame, const Op& op, std::uint32_t flow) noexcept {
    const std::uint32_t turn_of_flow =
        op.random ? below(static_cast<std::uint32_t>(mix64(op.seed + flow) >> 32), op.count) : turn(flow, op, op.count);
    const std::uint32_t value = (op.first + turn_of_flow * op.step) << op.shift;
    if (op.bytes == 2) {
      const net::Be16 word(static_cast<std::uint16_t>(value));
      auto& place = net::view<net::Be16>(frame + op.offset);
      place = net::Be16::from_raw(static_cast<std::uint16_t>(place.raw() | word.raw()));
      return word.raw();
    }
    const net::Be32 word(value);
    auto& place = net::view<net::Be32>(frame + op.offset);
    place = net::Be32::from_raw(place.raw() | word.raw());
    return word.raw();
  }

  static net::Sum store_listed(std::uint8_t* frame, const Op& op, std::uint32_t flow) noexcept {
    const Listed& value = op.list[turn(flow, op, static_cast<std::uint32_t>(op.list.size()))];
    switch (op.bytes) {
      case 4: std::memcpy(frame + op.offset, value.bytes.data(), 4); break;
      case 6: std::memcpy(frame + op.offset, value.bytes.data(), 6); break;
      case 16: std::memcpy(frame + op.offset, value.bytes.data(), 16); break;
      default: {
        std::uint16_t word, neighbour;
        std::memcpy(&word, value.bytes.data(), 2);
        std::memcpy(&neighbour, frame + op.offset, 2);
        word = static_cast<std::uint16_t>(word | neighbour);
        std::memcpy(frame + op.offset, &word, 2);
      }
    }
    return value.sum;
  }

  static Op make_number(const FieldDescription& field, const FieldPlace& place, std::span<FrameTemplate> frames);
  static Op make_list(const FieldDescription& field, const FieldPlace& place);

  std::vector<Op> ops_;
};

/// The name a profile gives to the field.
const char* to_string(FieldName name) noexcept;

}  // namespace millrace::perf::gen
