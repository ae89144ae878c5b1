/// Who and where everything is in FlowSim.
#pragma once

#include <string>
#include <string_view>

#include "net/packet.h"
#include "tests/datapath/test_switch.h"
#include "tests/sim/endpoint.h"

namespace millrace::tests {

inline constexpr net::PortId kHost = 0;
/// Pods have the ports 1..kPodPorts.
inline constexpr unsigned kPodPorts = 7;
inline constexpr net::PortId kUplink = kPodPorts + 1;
inline constexpr net::PortId kPortLimit = kUplink + 1;
/// Pod numbers 1..kPodNumbers are used again and again.
inline constexpr unsigned kPodNumbers = 6;
inline constexpr const char* kWorldAddresses[] = {"198.51.100.1",  "2001:db8:1::1", "198.51.100.2",
                                                  "2001:db8:1::2", "192.0.2.1",     "2001:db8::1"};

inline net::IpAddress address_of(std::string_view text) { return net::IpAddress::parse(std::string(text)).value(); }

inline bool is_node(const net::IpAddress& address) {
  return address == address_of(kNodeV4) || address == address_of(kNodeV6);
}

inline bool is_pods(const net::IpAddress& address) {
  return net::Prefix::parse("10.244.0.0/16").value().contains(address) ||
         net::Prefix::parse("fd00:10:244::/64").value().contains(address);
}

inline nat::SourceKind kind_of(const Actor& client, const net::IpAddress& source) {
  if (client.is_pod) return nat::SourceKind::kPod;
  return is_node(source) ? nat::SourceKind::kNode : nat::SourceKind::kExternal;
}

}  // namespace millrace::tests
