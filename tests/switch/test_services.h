/// Services as the agent would ask for them, short enough for rows of tests.
#pragma once

#include <string>
#include <vector>

#include "control/api/switch.pb.h"

namespace millrace::control::switchd {

/// The i-th of 10.128.0.0/9, in network order.
std::string backend_address(unsigned i);
void add_backend(api::BackendSet& set, const std::string& address_bytes, std::uint32_t port);
/// One TCP frontend that balances over `backends`, all at port 8080, for every source.
api::Service service(const std::string& name, const std::string& address, std::uint32_t port,
                     const std::vector<std::string>& backends);
/// Service number i of many: "ns/service-I", 10.96.0.0/12 plus i, with `backends` of its own.
api::Service numbered_service(unsigned i, unsigned backends);

}  // namespace millrace::control::switchd
