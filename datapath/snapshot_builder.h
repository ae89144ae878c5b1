/// build_snapshot: what control wants, checked and made into what workers read.
///
/// Shape:   PortSpec::id < port_limit; ids are chosen by the caller, who may use an id again after the generation
///          without the old port was seen by all workers. Host routes are made from `addresses` of every port.
/// Thread:  a control thread. Allocates.
///          TunnelSpec::index < tunnel_limit likewise; another remote under an index is another tunnel.
/// Errors:  kInvalidArgument names the port or tunnel and the field; kAlreadyExists names both that want one id,
///          address or prefix; kResourceExhausted names the limit. Nothing is half built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datapath/snapshot.h"
#include "datapath/tunnel_spec.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::datapath {

/// An IP packet of any link (RFC 791 section 3.2: every host takes 576; RFC 8200 section 5: every IPv6 link takes
/// 1280).
inline constexpr std::uint32_t kMinMtuBytes = 576;
inline constexpr std::uint32_t kMinIpv6MtuBytes = 1280;
inline constexpr std::uint32_t kMaxMtuBytes = 65535;

struct PortSpec {
  net::PortId id = net::kNoPort;
  std::string name;      // for error messages
  Port* port = nullptr;  // must outlive every snapshot that names it
  PortKind kind = PortKind::kPod;
  WorkerId worker = 0;                    // < worker_count
  std::uint32_t mtu_bytes = 0;            // kMinMtuBytes (kMinIpv6MtuBytes with an IPv6 address) .. kMaxMtuBytes
  net::Mac mac;                           // of the other side: unicast, not zero
  std::vector<net::IpAddress> addresses;  // of the other side, at most kMaxPortAddresses a family
  std::vector<net::Prefix> prefixes;      // further prefixes that lead here (host port: 0.0.0.0/0, ::/0)
  bool masquerade = false;                // pods only: what it sends to the outside leaves with the node's address
  bool dhcp = false;                      // pods only: its DHCP is carried to the host port and back
  bool awaits_policy = false;             // pods only: nothing begins from it or to it
  bool is_filtered = false;               // uplinks only: no kernel drives it. All such ports have one name
  std::shared_ptr<const policy::RuleSet> ingress = nullptr;  // pods only; nullptr: not isolated
  std::shared_ptr<const policy::RuleSet> egress = nullptr;
};

inline constexpr std::size_t kMaxNotMasqueraded = 1024;
inline constexpr std::size_t kMaxServicePrefixes = 16;
inline constexpr std::size_t kMaxNodeAddresses = 64;

/// What the switch translates besides services (nat_rules.h).
struct NatSpec {
  net::Ipv4 masquerade_v4;  // unspecified: the family leaves as it is
  net::Ipv6 masquerade_v6;
  nat::PortRange ports;                        // shared by the workers in equal blocks; may be empty without an address
  std::vector<net::Prefix> not_masqueraded;    // at most kMaxNotMasqueraded, none twice
  std::vector<net::Prefix> service_prefixes;   // at most kMaxServicePrefixes, none twice
  std::vector<net::IpAddress> node_addresses;  // at most kMaxNodeAddresses
};

/// The block of `ports` that is a worker's own.
nat::PortRange ports_of_worker(nat::PortRange ports, unsigned worker_count, WorkerId worker) noexcept;

struct SnapshotSpec {
  std::uint64_t generation = 0;  // greater than that of the snapshot before
  std::size_t port_limit = 0;    // 1 .. kMaxPorts
  unsigned worker_count = 0;     // 1 .. kMaxWorkers
  Gateway gateway;               // mac must be set; an unspecified ipv4 or ipv6 is a gateway without that family
  std::vector<PortSpec> ports;
  NatSpec nat;
  std::shared_ptr<const nat::ServiceTable> services = nullptr;        // nullptr: none
  std::shared_ptr<const policy::IdentityTable> identities = nullptr;  // nullptr: none

  std::size_t tunnel_limit = 0;  // 0 .. kMaxTunnels; fixed at start, as port_limit
  Underlay underlay;
  std::vector<UplinkSpec> uplinks;
  std::vector<TunnelSpec> tunnels;
};

/// `previous` is the snapshot published before, nullptr for the first: a port that is already there under the same id
/// keeps the generation since which it is there (PortEntry::since_generation).
net::Result<std::unique_ptr<Snapshot>> build_snapshot(const SnapshotSpec& spec, const Snapshot* previous);

}  // namespace millrace::datapath
