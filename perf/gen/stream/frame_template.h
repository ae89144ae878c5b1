/// FrameTemplate: a stream's frame of one size, and what of its checksums does not change from packet to packet.
///
/// Shape:   [outer Ethernet | IP | UDP | VXLAN |] Ethernet | VLAN tags | IP | L4 | payload, whose last bytes are the
///          tag (measure/tag.h). Bytes that fields write are zero here, as are the checksums.
/// Sums:    ip_sum and l4_sum are one's-complement sums over all that stays: with what the fields write added, they are
///          the sums of the packet. The payload needs none: the tag makes it add up to zero, whatever it says.
/// Thread:  plain values.
/// Source:  RFC 1071; RFC 7348; RFC 9260 (SCTP: CRC32c over the whole packet, computed for each).
#pragma once

#include <cstdint>
#include <vector>

#include "net/checksum.h"
#include "perf/gen/stream/description.h"

namespace millrace::perf::gen {

/// Where things lie in the frame, from its first byte, tunnel included. 0: not there.
struct FrameLayout {
  std::uint16_t ethernet = 0, vlan = 0, ip = 0, l4 = 0, payload = 0;
  std::uint16_t ip_checksum = 0, l4_checksum = 0;
  std::uint16_t outer_port = 0;  // UDP source port of the tunnel, where its UDP header begins
  std::uint16_t outer_checksum = 0;
  std::uint16_t vni = 0;
};

struct FrameTemplate {
  std::vector<std::uint8_t> bytes;
  FrameLayout layout;
  net::Sum ip_sum = 0, l4_sum = 0;
  net::Sum outer_sum = 0;           // pseudo header of the tunnel, where it has a UDP checksum
  net::Sum fill_sum = 0;            // of the covered payload before the tag
  std::uint16_t covered_bytes = 0;  // of the payload: all of it, or all but its first byte when it is odd
  bool is_sctp = false;
  bool is_udp = false;
};

FrameLayout layout_of(const StreamDescription& stream);

/// The frame without the tag and with every header as the description says. `frame_bytes`: of the inner frame.
/// Precondition: frame_bytes >= header_bytes(stream) + Tag::kBytes.
FrameTemplate make_frame_template(const StreamDescription& stream, std::uint32_t frame_bytes);

/// Where a field lies: `bytes` at `offset`, of which a number takes the last min(bytes, 4), shifted.
struct FieldPlace {
  std::uint16_t offset = 0;
  std::uint8_t bytes = 0;  // 2, 4, 6 or 16
  std::uint8_t shift = 0;
  std::uint32_t most = 0;  // largest number
  bool in_ip_sum = false, in_l4_sum = false;
};

/// bytes == 0: the stream has no such field.
FieldPlace place_of(const StreamDescription& stream, FieldName name);

/// Clears a field in the template: its value leaves the bytes and the sums. What shares its bytes stays.
void clear_field(FrameTemplate& frame, const FieldPlace& place);

}  // namespace millrace::perf::gen
