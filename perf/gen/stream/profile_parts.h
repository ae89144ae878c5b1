/// The parts of a stream that are more than one scalar, each from its key (profile.h has the list).
///
/// Errors:  kept in the KeyReader.
/// Thread:  control code; allocates.
#pragma once

#include <optional>
#include <vector>

#include "perf/gen/stream/description.h"
#include "perf/gen/stream/key_reader.h"

namespace millrace::perf::gen {

void read_protocol(KeyReader& keys, Protocol& protocol);
/// Without the key: ACK, as of a segment in the middle of a connection.
void read_tcp_flags(KeyReader& keys, StreamDescription& stream);
void read_vlans(KeyReader& keys, std::vector<Vlan>& vlans);
void read_tunnel(KeyReader& keys, std::optional<VxlanDescription>& tunnel);
/// Without the key: 64.
void read_sizes(KeyReader& keys, std::vector<SizeShare>& sizes);
void read_order(KeyReader& keys, FlowOrder& order);
/// Also makes the default fields, when there are flows and no fields, and `flows` from the fields, when it is not
/// given.
void read_fields(KeyReader& keys, StreamDescription& stream);

}  // namespace millrace::perf::gen
