/// Names and MACs that follow from an attachment's key, so that what a lost or half-made attachment left can be found.
///
/// Shape:   "mr" and 13 hex digits (52 bits) of FNV-1a over instance, network, container and interface: 15 characters,
///          the most Linux allows (IFNAMSIZ). `instance` is the host port's name, which no two agents of one network
///          namespace can share. Two keys with one name are refused by the store (one chance in 2^52 a pair).
///          MACs are unicast and locally administered (IEEE 802, second bit of the first byte).
/// Thread:  pure functions.
/// Source:  FNV-1a, draft-eastlake-fnv.
#pragma once

#include <string>
#include <string_view>

#include "control/agent/model.h"
#include "net/address.h"

namespace millrace::control::agent {

std::string host_interface_name(std::string_view instance, const AttachmentKey& key);
/// The MAC of one end of a veth pair: `end` is "pod", "host" or what else tells them apart.
net::Mac mac_of(std::string_view instance, const AttachmentKey& key, std::string_view end);

}  // namespace millrace::control::agent
