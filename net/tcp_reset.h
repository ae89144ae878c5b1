/// TCP resets: the answer to a segment that nobody takes.
///
/// Shape:   the packet becomes the reset, in place, from the address it was sent to, back to where it came from; no
///          options, no payload, checksums complete. `headers` describe it afterwards. It lies in the first segment: a
///          port that chained more must free those.
/// Thread:  pure function on the packet's owner. Never allocates.
/// Source:  RFC 9293 3.5.2 group 1 (the state is CLOSED) and 3.10.7.1.
#pragma once

#include "net/address.h"
#include "net/packet.h"

namespace millrace::net {

/// False, nothing changed: no TCP segment whose header was parsed, or itself a reset.
bool make_tcp_reset(Packet& packet, Mac source) noexcept;

}  // namespace millrace::net
