/// Tag: the last 18 bytes of every frame that the generator makes, which say what it is.
///
/// Shape:   | signature 2 | epoch 1 | stream 1 | sequence 4 | time 6 | covered 2 | check 2 |, network order
///          epoch     number of the trial modulo 256: what an earlier one left behind is known as such
///          sequence  of the stream, modulo 2^32
///          time      when the packet was due, ns of the run's clock modulo 2^48 (three days)
///          covered   how many bytes at the end of the frame, this tag included, `check` stands for; even
///          check     makes their one's-complement sum 0xffff
/// Why there: at the end it is found whatever a switch puts in front of the packet or takes away, without parsing. And
///          as the payload's sum is that of zero, no checksum in the headers depends on what the tag says.
/// Smallest frame without FCS, without tunnel and VLAN tags: 60 for UDP and ICMP over IPv4 (64 with FCS), 72 for TCP,
///          80 over IPv6 (UDP, ICMP), 92 (TCP); SCTP 80 and 100.
/// Thread:  pure functions. Never allocate.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "net/checksum.h"
#include "net/wire.h"

namespace millrace::perf::gen {

struct Tag {
  static constexpr std::uint32_t kBytes = 18;
  static constexpr std::uint16_t kSignature = 0x6d72;
  static constexpr std::uint64_t kTimeMask = (1ull << 48) - 1;

  std::uint8_t epoch = 0;
  std::uint8_t stream = 0;
  std::uint32_t sequence = 0;
  std::uint64_t time_ns = 0;
};

struct WireTag {
  net::Be16 signature;
  std::uint8_t epoch;
  std::uint8_t stream;
  net::Be32 sequence;
  net::Be16 time_upper;
  net::Be32 time_lower;
  net::Be16 covered;
  net::Be16 check;
};
static_assert(sizeof(WireTag) == Tag::kBytes && net::WireFormat<WireTag>);

/// Writes the tag into the last bytes of a frame. `fill_sum`: sum of the covered bytes in front of it.
inline void write_tag(std::uint8_t* frame_end, const Tag& tag, std::uint16_t covered_bytes,
                      net::Sum fill_sum) noexcept {
  // In registers: a word that is read back from narrower stores waits until those have left the processor.
  const std::uint64_t words[2] = {net::Be64(std::uint64_t{Tag::kSignature} << 48 | std::uint64_t{tag.epoch} << 40 |
                                            std::uint64_t{tag.stream} << 32 | tag.sequence)
                                      .raw(),
                                  net::Be64((tag.time_ns & Tag::kTimeMask) << 16 | covered_bytes).raw()};
  // Halves apart: the sum of two 64-bit words may not fit into one.
  const net::Sum sum =
      fill_sum + (words[0] & 0xffffffff) + (words[0] >> 32) + (words[1] & 0xffffffff) + (words[1] >> 32);
  const net::Be16 check = net::finish(sum);
  std::memcpy(frame_end - sizeof(WireTag), words, sizeof words);
  std::memcpy(frame_end - sizeof check, &check, sizeof check);
}

enum class TagFound : std::uint8_t { kNone, kDamaged, kRight };

/// Reads the tag that ends at the end of `frame`. kDamaged: the signature is there, what it covers is not as it was
/// made.
inline TagFound read_tag(std::span<const std::uint8_t> frame, Tag& tag) noexcept {
  if (frame.size() < Tag::kBytes) return TagFound::kNone;
  const auto& wire = net::view<WireTag>(frame.data() + frame.size() - Tag::kBytes);
  if (wire.signature.host() != Tag::kSignature) return TagFound::kNone;
  const std::uint32_t covered = wire.covered.host();
  if (covered < Tag::kBytes || covered > frame.size() || covered % 2 != 0) return TagFound::kDamaged;
  tag.epoch = wire.epoch;
  tag.stream = wire.stream;
  tag.sequence = wire.sequence.host();
  tag.time_ns = std::uint64_t{wire.time_upper.host()} << 32 | wire.time_lower.host();
  const bool right = net::fold(net::sum_bytes(frame.last(covered))) == 0xffff;
  return right ? TagFound::kRight : TagFound::kDamaged;
}

}  // namespace millrace::perf::gen
