/// First packets of flows, before they are begun one by one: what all of them will read comes to the cache meanwhile.
///
/// Shape:   at most kBurst packets of one family, with their keys.
/// Thread:  the owning worker. Never allocates.
#pragma once

#include <span>

#include "datapath/turn.h"
#include "net/flow_key.h"
#include "net/packet.h"

namespace millrace::datapath {

void foresee_flows(Turn& turn, std::span<const net::Packet* const> packets,
                   std::span<const net::FlowKeyV4> keys) noexcept;
void foresee_flows(Turn& turn, std::span<const net::Packet* const> packets,
                   std::span<const net::FlowKeyV6> keys) noexcept;

}  // namespace millrace::datapath
