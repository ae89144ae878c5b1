/// UplinkSocket: an uplink that is a vhost-user socket, to another virtual switch or to what drives a NIC for it.
///
/// Shape:   as a device of the config: "vhost-user,path=/run/uplink.sock,mac=02:00:00:00:00:01", and ",role=client"
///          when the other side listens. The MAC is what the network knows the node by; a socket has none of its own.
/// Errors:  kInvalidArgument with the argument and what is allowed.
/// Thread:  any.
#pragma once

#include <string>

#include "net/address.h"
#include "net/result.h"

namespace millrace::control::switchd {

struct UplinkSocket {
  std::string path;
  net::Mac mac;
  bool is_client = false;
};

/// Whether the device is meant to be one; all others are DPDK's.
bool is_uplink_socket(const std::string& device);
net::Result<UplinkSocket> parse_uplink_socket(const std::string& device);

}  // namespace millrace::control::switchd
