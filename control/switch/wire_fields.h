/// Values of the switch as fields of the protos.
///
/// Thread:  pure functions.
#pragma once

#include <string>

#include "control/api/switch.pb.h"
#include "datapath/event_tap.h"
#include "net/address.h"

namespace millrace::control::switchd {

inline std::string wire_bytes(const net::IpAddress& address) {
  const auto raw = address.raw();
  return {raw.begin(), raw.end()};
}

/// `ends` has addresses and ports, as datapath::PacketEnds does.
template <typename Ends>
void fill(const Ends& ends, api::FlowTuple& tuple) {
  tuple.set_source(wire_bytes(ends.source));
  tuple.set_destination(wire_bytes(ends.destination));
  tuple.set_source_port(ends.source_port);
  tuple.set_destination_port(ends.destination_port);
}

}  // namespace millrace::control::switchd
