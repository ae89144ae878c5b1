/// What comes by an uplink, and whose it is: one table for the XDP program of uplinks (datapath/io/xdp/uplink.bpf.c)
/// and for the filter of devices that no kernel drives (datapath/uplink_filter.h).
///
/// Shape:   the rules are those of the constants: kNode and kNode6 masquerade with ports from kFirstPort on and have
/// node port 30500
///          of TCP; 203.0.113.7 has port 53 of UDP; VXLAN comes to kVtep and kVtep6, port 4789; pods of this node are
///          in kLocalPrefix and kLocalPrefix6. Frames are sent to tests::kMacB, the device's own.
#pragma once

#include <vector>

#include "tests/net/packet_builder.h"

namespace millrace::tests::uplink {

inline constexpr const char* kNode = "192.0.2.1";
inline constexpr const char* kNode6 = "2001:db8::1";
inline constexpr const char* kVtep = "192.0.2.9";  // the node's own too, and not that of masquerade
inline constexpr const char* kVtep6 = "2001:db8::9";
inline constexpr std::uint16_t kVtepPort = 4789;
inline constexpr const char* kExternal = "203.0.113.7";
inline constexpr const char* kWorld = "192.0.2.2";
inline constexpr const char* kWorld6 = "2001:db8::2";
inline constexpr const char* kLocalPrefix = "10.244.1.0/24";
inline constexpr const char* kLocalPrefix6 = "fd00:1::/64";
inline constexpr std::uint16_t kFirstPort = 40960;  // of masquerade; the last is 65535

struct Row {
  const char* name;
  Bytes frame;
  const char* taker;  // "switch" or "kernel"
};

/// Each by itself.
std::vector<Row> rows();
/// In this order: a later fragment goes where its first went.
std::vector<Row> fragment_rows();

}  // namespace millrace::tests::uplink
