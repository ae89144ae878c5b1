/// explain: what the live tables say of the first packet of a flow, without sending one.
///
/// Shape:   the steps of begin_flow.h, in their order, over a snapshot alone. What only a worker knows is left out and
///          said: the backend a client with affinity had before, the masquerade port (it is chosen when a packet
///          comes), and whether a flow is there already.
/// Law:     a packet that is sent instead, as the first of its flow, has the same drop, backend and way out
///          (tests/datapath/explain_test.cc).
/// Thread:  control, while the snapshot is held. Never allocates.
#pragma once

#include <cstddef>
#include <cstdint>

#include "datapath/event_tap.h"
#include "datapath/policy_check.h"
#include "datapath/snapshot.h"
#include "nat/service_table.h"
#include "net/drop.h"

namespace millrace::datapath {

struct Explanation {
  /// Where it would be dropped, and why; kNone: it goes on.
  net::Drop drop = net::Drop::kNone;
  net::PortId in = net::kNoPort;
  net::PortId out = net::kNoPort;  // or a tunnel. kNoPort: dropped before a way was found
  nat::SourceKind from = nat::SourceKind::kPod;

  bool is_service = false;
  nat::ServiceChoice choice;  // of a service
  PacketEnds translated;      // as it would leave, but for a masquerade
  bool is_masqueraded = false;
  net::IpAddress masquerade;  // the address it would leave with

  bool is_to_itself = false;      // a pod and itself: no policy is asked
  bool is_from_node = false;      // the node reaches its pods: ingress is not asked
  bool is_egress_asked = false;   // the source is isolated
  bool is_ingress_asked = false;  // the destination is isolated
  policy::Identity source_identity = policy::kNoIdentity;
  policy::Identity destination_identity = policy::kNoIdentity;  // of the translated destination
  PolicyVerdict verdict;
};

/// `in`: where it would come in: a port, or the tunnel by which it would come from another node. Ends of one family,
/// ports host order; protocol net::ip_protocol. Precondition: the snapshot has the port.
Explanation explain(const Snapshot& snapshot, net::PortId in, const PacketEnds& ends, std::uint8_t protocol) noexcept;

}  // namespace millrace::datapath
