#include "perf/gen/stream/stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace millrace::perf::gen {
namespace {

constexpr std::uint16_t kFirstTunnelPort = 49152;  // RFC 7348 section 5
constexpr std::uint32_t kTunnelPorts = 16384;

net::Result<void> check_sizes(const StreamDescription& stream) {
  std::uint32_t weights = 0;
  const std::uint32_t least = std::max(kMinFrameBytes, header_bytes(stream) + Tag::kBytes);
  for (const SizeShare& size : stream.sizes) {
    if (size.bytes < least || size.bytes + tunnel_bytes(stream) > kMaxFrameBytes) {
      return net::invalid_argument(fmt::format("size {}: {} to {} for these headers and the tag", size.bytes, least,
                                               kMaxFrameBytes - tunnel_bytes(stream)));
    }
    if (size.weight == 0) return net::invalid_argument(fmt::format("size {}: weight 0: at least 1", size.bytes));
    weights += std::min(size.weight, kMaxSizeWeights + 1);
  }
  if (stream.sizes.empty() || stream.sizes.size() > kMaxSizes || weights > kMaxSizeWeights) {
    return net::invalid_argument(fmt::format("size: {} sizes with weights of {} together; at most {} and {}",
                                             stream.sizes.size(), weights, kMaxSizes, kMaxSizeWeights));
  }
  return {};
}

/// How many different flows the fields make; 0: no bound is known, as values are random.
std::uint64_t distinct_flows(const StreamDescription& stream) {
  std::uint64_t product = 1;
  for (const FieldDescription& field : stream.fields) {
    if (field.mode == FieldMode::kRandom) return 0;
    product *= field.mode == FieldMode::kList ? field.list.size() : field.count;
    product = std::min<std::uint64_t>(product, kMaxFlows + 1ull);
  }
  return product;
}

net::Result<void> check_flows(const StreamDescription& stream) {
  if (stream.flows == 0 || stream.flows > kMaxFlows) {
    return net::invalid_argument(fmt::format("flows {}: 1 to {}", stream.flows, kMaxFlows));
  }
  const std::uint64_t distinct = distinct_flows(stream);
  if (distinct != 0 && distinct < stream.flows) {
    return net::invalid_argument(
        fmt::format("flows {}: the fields make only {} different ones", stream.flows, distinct));
  }
  return {};
}

}  // namespace

std::vector<std::uint8_t> spread_sizes(const std::vector<SizeShare>& sizes) {
  const std::uint32_t total = std::accumulate(
      sizes.begin(), sizes.end(), 0u, [](std::uint32_t sum, const SizeShare& size) { return sum + size.weight; });
  std::vector<std::uint8_t> turns;
  std::vector<std::int64_t> credit(sizes.size(), 0);
  while (turns.size() < total) {  // smooth weighted round robin: who is owed most goes next
    for (std::size_t i = 0; i < sizes.size(); ++i) credit[i] += sizes[i].weight;
    const auto next = std::max_element(credit.begin(), credit.end());
    *next -= total;
    turns.push_back(static_cast<std::uint8_t>(next - credit.begin()));
  }
  return turns;
}

net::Result<Stream> Stream::compile(const StreamDescription& description) {
  const auto named = [&](const net::Error& error) {
    return net::Error{error.code, fmt::format("stream {}: {}", description.name, error.message)};
  };
  if (auto checked = check_sizes(description); !checked) return named(checked.error());
  if (auto checked = check_flows(description); !checked) return named(checked.error());
  Stream stream(description,
                FlowPicker(description.order, description.flows, description.zipf_exponent, description.seed));
  for (const SizeShare& size : description.sizes) {
    stream.frames_.push_back(make_frame_template(description, size.bytes));
    stream.most_bytes_ = std::max(stream.most_bytes_, static_cast<std::uint32_t>(stream.frames_.back().bytes.size()));
  }
  auto program = FieldProgram::compile(description, stream.frames_);
  if (!program) return named(program.error());
  stream.program_ = *std::move(program);
  stream.turns_ = spread_sizes(description.sizes);
  return stream;
}

std::uint32_t Stream::build(std::uint8_t* frame, const Tag& tag) noexcept {
  const FrameTemplate& model = frames_[turns_[turn_]];
  turn_ = turn_ + 1 == turns_.size() ? 0 : turn_ + 1;
  const std::uint32_t flow = picker_.next();
  const auto bytes = static_cast<std::uint32_t>(model.bytes.size());
  std::memcpy(frame, model.bytes.data(), bytes);
  const FieldSums sums = program_.apply(frame, flow);
  const FrameLayout& at = model.layout;
  if (at.ip_checksum != 0) net::view<net::Be16>(frame + at.ip_checksum) = net::finish(model.ip_sum + sums.ip);
  if (at.outer_port != 0) {
    const std::uint32_t entropy = below(static_cast<std::uint32_t>(mix64(flow) >> 32), kTunnelPorts);
    net::view<net::Be16>(frame + at.outer_port) = net::Be16(static_cast<std::uint16_t>(kFirstTunnelPort + entropy));
  }
  write_tag(frame + bytes, tag, model.covered_bytes, model.fill_sum);
  if (model.is_sctp) [[unlikely]] {
    net::view<net::Be32>(frame + at.l4_checksum) = net::sctp_checksum({frame + at.l4, bytes - at.l4});
  } else {
    net::Be16 checksum = net::finish(model.l4_sum + sums.l4);
    if (checksum.raw() == 0 && model.is_udp) checksum = net::Be16(0xffff);  // RFC 768: 0 says that there is none
    net::view<net::Be16>(frame + at.l4_checksum) = checksum;
  }
  if (at.outer_checksum != 0) [[unlikely]] {  // over all that is in the tunnel
    const net::Sum inside = net::sum_bytes({frame + at.outer_port, bytes - at.outer_port});
    const net::Be16 checksum = net::finish(model.outer_sum + inside);
    net::view<net::Be16>(frame + at.outer_checksum) = checksum.raw() == 0 ? net::Be16(0xffff) : checksum;
  }
  return bytes;
}

}  // namespace millrace::perf::gen
