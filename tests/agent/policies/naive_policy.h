/// May a connection be? Decided by walking all objects, as a person would who reads what Kubernetes expects of
/// NetworkPolicy. Nothing is prepared, and nothing is shared with the compiler: not even how a selector matches.
///
/// Shape:   sources and destinations are addresses, protocols numbers of IANA, ports those of the destination.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "control/agent/object_store.h"
#include "net/address.h"

namespace millrace::control::agent::policies {

using Objects = std::map<kube::ObjectKey, ObjectRef>;

struct Question {
  net::IpAddress source, destination;
  std::uint8_t protocol = 6;
  std::uint16_t port = 0;
};

/// The rule of egress on the source's side, if the source is `isolated` (a pod's key); likewise of ingress.
bool egress_allows(const Objects& objects, const kube::Pod& isolated, const Question& asked);
bool ingress_allows(const Objects& objects, const kube::Pod& isolated, const Question& asked);

/// The pod that has the address: one that is not over and not on its node's network. nullptr: none.
const kube::Pod* pod_at(const Objects& objects, const net::IpAddress& address);

}  // namespace millrace::control::agent::policies
