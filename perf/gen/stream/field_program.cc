#include "perf/gen/stream/field_program.h"

#include <fmt/format.h>

#include <algorithm>

namespace millrace::perf::gen {
namespace {

/// The number in the last four bytes of a value of the given width; numbers without bytes of their own have four.
std::uint32_t number_of(const FieldValue& value, std::size_t value_bytes) {
  std::uint32_t number = 0;
  for (std::size_t i = value_bytes - std::min<std::size_t>(value_bytes, 4); i < value_bytes; ++i) {
    number = number << 8 | value[i];
  }
  return number;
}

/// Bytes of the field's value in a description: addresses have theirs, all else is a number of four.
std::size_t value_bytes(const FieldPlace& place) {
  return place.bytes == 6 || place.bytes == 16 || place.most == 0xffffffff ? place.bytes : std::size_t{4};
}

/// Puts bytes that no flow changes into the template, where the field was cleared before.
void keep_bytes(FrameTemplate& frame, const FieldPlace& place, std::span<const std::uint8_t> bytes) {
  std::copy(bytes.begin(), bytes.end(), frame.bytes.begin() + place.offset);
  const net::Sum sum = net::fold(net::sum_bytes(bytes));
  if (place.in_ip_sum) frame.ip_sum += sum;
  if (place.in_l4_sum) frame.l4_sum += sum;
}

net::Result<void> check_number(const FieldDescription& field, const FieldPlace& place) {
  const std::uint64_t first = number_of(field.first, value_bytes(place));
  if (field.count == 0)
    return net::invalid_argument(fmt::format("fields.{}: count 0: at least 1", to_string(field.name)));
  const std::uint64_t last = first + std::uint64_t{field.count - 1} * field.step;
  if (last <= place.most) return {};
  return net::invalid_argument(fmt::format("fields.{}: {} values in steps of {} from {} on end at {}; the last is {}",
                                           to_string(field.name), field.count, field.step, first, last, place.most));
}

}  // namespace

const char* to_string(FieldName name) noexcept {
  switch (name) {
    case FieldName::kSourceMac: return "source-mac";
    case FieldName::kDestinationMac: return "destination-mac";
    case FieldName::kVlan: return "vlan";
    case FieldName::kSourceIp: return "source-ip";
    case FieldName::kDestinationIp: return "destination-ip";
    case FieldName::kSourcePort: return "source-port";
    case FieldName::kDestinationPort: return "destination-port";
    case FieldName::kTtl: return "ttl";
    case FieldName::kDscp: return "dscp";
    case FieldName::kVni: return "vni";
  }
  return "unknown";
}

FieldProgram::Op FieldProgram::make_number(const FieldDescription& field, const FieldPlace& place,
                                           std::span<FrameTemplate> frames) {
  Op op;
  const auto number_bytes = static_cast<std::uint8_t>(std::min<unsigned>(place.bytes, 4));
  const std::size_t kept = place.bytes - number_bytes;
  op.offset = static_cast<std::uint16_t>(place.offset + kept);
  op.bytes = number_bytes;
  op.shift = place.shift;
  op.random = field.mode == FieldMode::kRandom;
  op.first = number_of(field.first, value_bytes(place));
  op.count = field.count;
  op.step = field.step;
  for (FrameTemplate& frame : frames) keep_bytes(frame, place, std::span(field.first).first(kept));
  return op;
}

FieldProgram::Op FieldProgram::make_list(const FieldDescription& field, const FieldPlace& place) {
  Op op;
  op.offset = place.offset;
  op.bytes = place.bytes;
  for (const FieldValue& value : field.list) {
    Listed listed{.bytes = value};
    if (value_bytes(place) != place.bytes || place.shift != 0) {
      const std::uint32_t number = number_of(value, 4) << place.shift;
      for (std::size_t i = 0; i < place.bytes; ++i) {
        listed.bytes[i] = static_cast<std::uint8_t>(number >> (8 * (place.bytes - 1u - i)));
      }
    }
    listed.sum = net::fold(net::sum_bytes(std::span(listed.bytes).first(place.bytes)));
    op.list.push_back(listed);
  }
  return op;
}

net::Result<FieldProgram> FieldProgram::compile(const StreamDescription& stream, std::span<FrameTemplate> frames) {
  FieldProgram program;
  std::uint64_t divisor = 1;
  for (std::size_t i = 0; i < stream.fields.size(); ++i) {
    const FieldDescription& field = stream.fields[i];
    const FieldPlace place = place_of(stream, field.name);
    if (place.bytes == 0) {
      return net::invalid_argument(fmt::format("fields.{}: the stream's packets have none", to_string(field.name)));
    }
    const auto same = [&](const FieldDescription& other) { return other.name == field.name; };
    if (std::any_of(stream.fields.begin(), stream.fields.begin() + static_cast<std::ptrdiff_t>(i), same)) {
      return net::invalid_argument(fmt::format("fields.{}: named twice", to_string(field.name)));
    }
    for (FrameTemplate& frame : frames) clear_field(frame, place);
    Op op;
    if (field.mode == FieldMode::kList) {
      op = make_list(field, place);
    } else {
      if (auto checked = check_number(field, place); !checked) return checked.error();
      op = make_number(field, place, frames);
    }
    op.seed = mix64(stream.seed * kMaxFields + i) & ~std::uint64_t{0xffffffff};
    op.ip_mask = place.in_ip_sum ? ~net::Sum{0} : 0;
    op.l4_mask = place.in_l4_sum ? ~net::Sum{0} : 0;
    // Beyond 2^32 every flow has the first value: there are fewer flows than that.
    op.divisor = static_cast<std::uint32_t>(std::min<std::uint64_t>(divisor, 0xffffffff));
    if (!op.random) divisor *= op.list.empty() ? op.count : op.list.size();
    divisor = std::min<std::uint64_t>(divisor, 0xffffffff);
    program.ops_.push_back(std::move(op));
  }
  return program;
}

}  // namespace millrace::perf::gen
