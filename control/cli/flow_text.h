/// Flows as a person reads them, and what has changed between two looks.
///
/// Shape:   an end is ADDRESS:PORT, [ADDRESS]:PORT for IPv6; ICMP has its identifier in the place of the source port;
///          other protocols have none. A translation names what it changes alone.
///          A flow is the same as long as its worker, protocol and original tuple are. It has changed when its state,
///          translation, service or port has: packets and times always do.
/// Thread:  pure functions.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/api/switch.pb.h"

namespace millrace::control::cli {

/// "tcp", "udp", "icmp" ...; else the number.
std::string protocol_text(std::uint32_t protocol);
std::string end_text(std::uint32_t protocol, const std::string& address, std::uint32_t port);
/// "to 10.244.0.7:5353", "from 192.0.2.1:41000, to ..."; "" when nothing is translated.
std::string translation_text(const api::Flow& flow);

/// With its columns' titles; `wide` has more columns.
std::string flow_table(const std::vector<api::Flow>& flows, bool wide);

/// By who it is.
using FlowMap = std::map<std::string, api::Flow>;
FlowMap by_key(std::vector<api::Flow> flows);

struct FlowChange {
  const char* event;  // "new", "changed", "ended"
  api::Flow flow;     // of an ended one: as it was seen last
};
/// In the order of the keys.
std::vector<FlowChange> changes(const FlowMap& before, const FlowMap& after);
/// One line: "new      tcp 10.0.0.1:4000 > 10.96.0.1:80 (to 10.0.0.2:8080) SYN_SENT default/web".
std::string change_line(const FlowChange& change);

}  // namespace millrace::control::cli
