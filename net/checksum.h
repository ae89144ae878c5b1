/// Checksums: the internet checksum, its incremental update, checksums left to offload, and CRC32c.
///
/// Shape:   a Sum is the 64-bit one's-complement accumulator over 16-bit words *as they lie in memory*; the internet
///          checksum does not depend on byte order (RFC 1071 section 2 B), so nothing is swapped until a Be16 is made.
///          Sums of parts may be added with + when each part but the last has an even length: the sum of 64 KiB is
///          below 2^48, so nothing overflows.
/// Offload: a sender that leaves the checksum to the device stores the folded, un-complemented pseudo-header sum in the
///          field (Linux CHECKSUM_PARTIAL). Over AF_XDP nothing else says so. Taking every field of that value for
///          partial is safe: if a complete and right checksum happens to equal it, completing gives the same value
///          again. SCTP: the sender leaves zero; completing a right zero gives zero.
/// Thread:  pure functions, any thread.
/// Source:  RFC 1071, RFC 1624 eq. 3, RFC 768 (UDP 0 -> 0xffff), RFC 8200 8.1, RFC 9260 appendix A (CRC32c).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "net/parser.h"
#include "net/wire.h"

namespace millrace::net {

using Sum = std::uint64_t;

/// The one's-complement sum as 16 bits, not complemented, memory order. Adding the halves swapped leaves their sum,
/// with the carry brought round, in the upper half.
constexpr std::uint16_t fold(Sum sum) noexcept {
  const auto half = static_cast<std::uint32_t>((sum + std::rotl(sum, 32)) >> 32);
  return static_cast<std::uint16_t>((half + std::rotl(half, 16)) >> 16);
}

/// The checksum field for `sum`: folded and complemented.
constexpr Be16 finish(Sum sum) noexcept { return Be16::from_raw(static_cast<std::uint16_t>(~fold(sum))); }

/// Sum of `bytes`, any length and alignment; an odd last byte counts as if followed by a zero.
Sum sum_bytes(std::span<const std::uint8_t> bytes) noexcept;

/// Internet checksum of `bytes`. Over data that includes a right checksum field it is zero.
inline Be16 checksum(std::span<const std::uint8_t> bytes) noexcept { return finish(sum_bytes(bytes)); }

/// Pseudo headers. `length_bytes` is that of the L4 header and its payload.
inline Sum pseudo_header_sum(Ipv4 source, Ipv4 destination, std::uint8_t protocol,
                             std::uint16_t length_bytes) noexcept {
  return Sum{source.value.raw()} + destination.value.raw() + Be16(protocol).raw() + Be16(length_bytes).raw();
}
Sum pseudo_header_sum(const Ipv6& source, const Ipv6& destination, std::uint8_t protocol,
                      std::uint32_t length_bytes) noexcept;

/// The checksum after a word it covers changed (RFC 1624 eq. 3). The words lie at even offsets of the covered data.
/// A UDP checksum of 0 means "none": the caller keeps it 0, and writes 0xffff where this returns 0.
constexpr Be16 update_checksum(Be16 old_checksum, Be16 from, Be16 to) noexcept {
  const auto not_old = static_cast<std::uint16_t>(~old_checksum.raw());
  const auto not_from = static_cast<std::uint16_t>(~from.raw());
  return finish(Sum{not_old} + not_from + to.raw());
}
constexpr Be16 update_checksum(Be16 old_checksum, Be32 from, Be32 to) noexcept {
  const auto not_old = static_cast<std::uint16_t>(~old_checksum.raw());
  return finish(Sum{not_old} + ~from.raw() + to.raw());
}
inline Be16 update_checksum(Be16 old_checksum, Ipv4 from, Ipv4 to) noexcept {
  return update_checksum(old_checksum, from.value, to.value);
}

/// What replacing words adds to a sum they are part of: ~from + to (RFC 1624 eq. 3). Differences add up.
constexpr Sum difference(Be16 from, Be16 to) noexcept {
  return Sum{static_cast<std::uint16_t>(~from.raw())} + to.raw();
}
constexpr Sum difference(Be32 from, Be32 to) noexcept { return Sum{~from.raw()} + to.raw(); }
constexpr Sum difference(Ipv4 from, Ipv4 to) noexcept { return difference(from.value, to.value); }
Sum difference(const Ipv6& from, const Ipv6& to) noexcept;

/// Differences as 16 bits in memory order; 0 when nothing changes, never 0xffff.
constexpr std::uint16_t fold_difference(Sum differences) noexcept {
  const std::uint16_t folded = fold(differences);
  return folded == 0xffff ? std::uint16_t{0} : folded;
}

/// One's-complement sum of two words in memory order: a sum left to offload after what it covers has changed.
constexpr std::uint16_t add_words(std::uint16_t a, std::uint16_t b) noexcept {
  const std::uint32_t sum = std::uint32_t{a} + b;
  return static_cast<std::uint16_t>(sum + (sum >> 16));
}

/// The checksum after what it covers has changed by `delta`, from fold_difference(). The rules of update_checksum().
constexpr Be16 add_difference(Be16 old_checksum, std::uint16_t delta) noexcept {
  const auto not_old = static_cast<std::uint16_t>(~old_checksum.raw());
  return Be16::from_raw(static_cast<std::uint16_t>(~add_words(not_old, delta)));
}

/// The sum over an IPv4 header without options, its checksum field included: folds to 0xffff when that is right.
inline Sum plain_ipv4_header_sum(const Ipv4Header& header) noexcept {
  std::uint32_t words[5];
  std::memcpy(words, &header, sizeof words);
  return Sum{words[0]} + words[1] + words[2] + words[3] + words[4];
}

/// IPv4 header checksum, options included. Precondition: `header.header_bytes()` bytes are there, at least 20.
bool ipv4_checksum_is_right(const Ipv4Header& header) noexcept;
void set_ipv4_checksum(Ipv4Header& header) noexcept;

/// CRC32c (Castagnoli) of `bytes`, continuing from `crc` (0 to start); finished value, host order.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes, std::uint32_t crc = 0) noexcept;
/// The same without processor support: what crc32c uses on a processor without it.
std::uint32_t crc32c_portable(std::span<const std::uint8_t> bytes, std::uint32_t crc = 0) noexcept;
/// The checksum field of an SCTP packet (common header and chunks), its field taken as zero.
Be32 sctp_checksum(std::span<const std::uint8_t> sctp) noexcept;

/// The checksum field of an SCTP packet after its ports, the first four bytes, have changed. CRC32c is linear: the
/// bytes behind them are not read, their number is enough, and damage to them stays visible to the receiver.
/// `sctp_bytes`: common header and chunks, 4..65535.
Be32 update_sctp_checksum(Be32 old_checksum, Be32 old_ports, Be32 new_ports, std::uint32_t sctp_bytes) noexcept;

/// Whether the L4 checksum was left to offload (see above). False for fragments, for headers without L4, and for
/// protocols other than TCP, UDP and SCTP. `head` is what was given to parse().
bool l4_checksum_is_partial(std::span<const std::uint8_t> head, const Headers& headers) noexcept;

/// Computes the L4 checksum of TCP, UDP, SCTP, ICMP or ICMPv6 from nothing and writes it. True when it was written;
/// false (nothing changed) for fragments, other protocols, or a packet that does not lie wholly in `head`.
bool complete_l4_checksum(std::span<std::uint8_t> head, const Headers& headers) noexcept;

/// Whether the L4 checksum is right. UDP over IPv4 without one counts as right (RFC 768); over IPv6 as wrong
/// (RFC 8200 8.1). False where complete_l4_checksum would refuse.
bool l4_checksum_is_right(std::span<const std::uint8_t> head, const Headers& headers) noexcept;

}  // namespace millrace::net
