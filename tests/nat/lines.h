/// Lines for tests of the NAT room: the line of a packet and the tuple it shall leave with, and its partner.
#pragma once

#include <string_view>

#include "nat/flow_line.h"
#include "nat/translate.h"
#include "tests/net/packet_builder.h"

namespace millrace::tests {

template <typename Line>
Line line_of(const typename Line::Key& key, const nat::Translation<typename Line::Address>& to) {
  Line line;
  line.key = key;
  nat::set_translation(line, to);
  return line;
}

/// The line the replies go by: they arrive with the tuple turned round that `line` sends with.
template <typename Line>
Line partner_of(const Line& line) {
  return line_of<Line>(
      {line.to.destination, line.to.source, line.to.destination_port, line.to.source_port, line.key.protocol},
      {line.key.destination, line.key.source, line.key.destination_port, line.key.source_port});
}

inline nat::Translation<net::Ipv4> to_v4(std::string_view source, std::uint16_t source_port,
                                         std::string_view destination, std::uint16_t destination_port) {
  return {v4(source), v4(destination), source_port, destination_port};
}
inline nat::Translation<net::Ipv6> to_v6(std::string_view source, std::uint16_t source_port,
                                         std::string_view destination, std::uint16_t destination_port) {
  return {v6(source), v6(destination), source_port, destination_port};
}

}  // namespace millrace::tests
