/// The node that services are compiled for.
///
/// Thread:  a plain value.
#pragma once

#include <string>
#include <vector>

#include "net/address.h"

namespace millrace::control::agent::services {

struct Node {
  std::string name;
  std::string zone;                       // label topology.kubernetes.io/zone; "" unknown
  std::vector<net::IpAddress> addresses;  // where node ports are
  friend bool operator==(const Node&, const Node&) = default;
};

}  // namespace millrace::control::agent::services
