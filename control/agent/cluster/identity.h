/// What makes this node one and the same over its restarts, kept with its database.
///
/// Thread:  as the store's.
#pragma once

#include <cstdint>
#include <string>

#include "control/agent/store.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::control::agent::cluster {

struct Identity {
  std::string instance;     // 128 random bits in hex
  net::Mac vtep_mac;        // random, locally administered, unicast (IEEE 802 s.8.4)
  std::uint64_t epoch = 0;  // of this start: milliseconds of Unix time, more than the last one's
};

/// Reads the identity, or makes it; begins a new epoch.
net::Result<Identity> begin_epoch(Store& store);

}  // namespace millrace::control::agent::cluster
