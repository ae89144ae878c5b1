/// Config: the one YAML file that both daemons and the CLI read.
///
/// Shape:   every key is optional; schema.cc lists each key once with its type, default, limits and text, and that list
///          makes the parser's checks, `--help`, the man page and docs/config.md.
/// Errors:  kInvalidArgument "FILE:LINE: KEY: what is wrong; allowed: ..." for an unknown key, a wrong type or an
///          impossible value; every error of the file, one a line, up to kErrorLimit. A file that was not named and is
///          not there is no error: defaults. A Config that was returned kept every rule, those across keys too.
/// Thread:  read at start, then immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nat/flow_timer.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::control::config {

inline constexpr const char* kDefaultPath = "/etc/millrace/config.yaml";
inline constexpr std::size_t kFileLimitBytes = 1 << 20;  // a longer file is refused unread
inline constexpr std::size_t kErrorLimit = 20;           // errors of one file that are told
// The switch takes 64 and 1024 (api::Nat); a few of them are the agent's own.
inline constexpr std::size_t kNodeAddressLimit = 60;
inline constexpr std::size_t kExcludedLimit = 800;

enum class Poll { kAdaptive, kAlways };
enum class NatInbound { kEstablished, kMapped };
enum class Hugepages { kAuto, k2M, k1G, kOff };
enum class Store { kEmbedded, kEtcd };
enum class Encapsulation { kVxlan, kCrossSubnet, kNone };

struct AddressPool {
  net::Prefix prefix;
  std::uint8_t block_bits = 0;  // prefix length of a node's block
  bool nat_outgoing = true;     // ipam.ipvX.natOutgoing: packets to the outside leave with the node's address
};

struct Config {
  std::string file;  // where it came from; "" for defaults

  std::string node_name;        // nodeName: default the host name
  std::string runtime_dir;      // runtimeDir: /run/millrace; sockets and pid files
  std::string state_dir;        // stateDir: /var/lib/millrace; the agent's database
  std::string log_level;        // logLevel: trace | debug | info (default) | warning | error
  Poll poll = Poll::kAdaptive;  // poll: adaptive | always
  /// uplink: interface to the world, "auto" (that of the default route), "" none (default)
  std::string uplink;
  /// uplinkDevice: what DPDK drives in the place of an interface, "" none (default): `uplink` is the node's end of a
  /// link
  std::string uplink_device;
  std::vector<net::IpAddress> node_addresses;  // nodeAddresses: empty = those of the uplink

  struct Workers {
    std::uint32_t count = 0;          // workers.count: 0 = auto (placement decides)
    std::vector<std::uint32_t> cpus;  // workers.cpus: pins, one a worker; empty = placement decides
  } workers;

  struct Memory {
    std::uint32_t packets = 0;               // memory.packets: frames in the pool, 32768
    Hugepages hugepages = Hugepages::kAuto;  // memory.hugepages: auto | 2M | 1G | off
  } memory;

  std::uint32_t port_limit = 0;  // portLimit: ports the switch can have, 256
  std::uint32_t rule_limit = 0;  // policy.ruleLimit: rules of policies the switch can have, 65536

  std::string host_port;        // hostPort: name of the node's interface, millrace0
  bool host_forwarding = true;  // hostForwarding: the agent switches IP forwarding on, so that pods reach the world
  std::uint32_t mtu = 0;        // mtu: of pod interfaces and the host port, bytes of an IP packet; 0: auto (mtu.h)

  struct Gateway {
    net::Ipv4 ipv4;  // gateway.ipv4: link-local next hop of pods, 169.254.1.1
    net::Ipv6 ipv6;  // gateway.ipv6: fe80::1
    net::Mac mac;    // gateway.mac: 02:4d:52:00:00:01
  } gateway;

  struct Ipam {
    std::optional<AddressPool> ipv4;  // ipam.ipv4.pool 10.244.0.0/16, blockLength 24; "pool: none" switches off
    std::optional<AddressPool> ipv6;  // ipam.ipv6.pool fd00:10:244::/112, blockLength 120
    std::uint32_t block_index = 0;    // ipam.block: which block of the pool is this node's, counted from 0
  } ipam;

  struct Nat {
    std::uint16_t port_first = 0;                   // nat.portRange: 40960-65535, ports of masqueraded flows
    std::uint16_t port_last = 0;                    // included
    std::vector<net::Prefix> excluded;              // nat.excluded: destinations that see the pods' own addresses
    NatInbound inbound = NatInbound::kEstablished;  // nat.inbound: established | mapped (anybody)
  } nat;

  struct Flows {
    std::uint32_t limit = 0;  // flows.limit: 1000000 of each family, shared out among the workers
    bool pick_up_tcp = true;  // flows.pickUpTcp: TCP connections whose begin was not seen go on
    nat::Timeouts timeouts;   // flows.timeouts.*: seconds in the file
  } flows;

  struct Services {
    std::optional<net::Prefix> ipv4;    // services.ipv4: 10.96.0.0/12, addresses of services; "none" switches off
    std::optional<net::Prefix> ipv6;    // services.ipv6: fd00:10:96::/112
    std::uint16_t node_port_first = 0;  // services.nodePortRange: 30000-32767
    std::uint16_t node_port_last = 0;   // included
    bool node_ports_from_node = true;   // services.nodePortsFromNode: by the kernel's nftables
  } services;

  struct Dns {
    std::vector<net::IpAddress> servers;  // dns.servers: empty = see dns_servers()
    std::string domain;                   // dns.domain: cluster.local
  } dns;

  Store store = Store::kEmbedded;  // store: embedded | etcd
  struct Etcd {
    std::vector<std::string> endpoints;  // etcd.endpoints: URLs, all http or all https
    std::string prefix;                  // etcd.prefix: /millrace/v1/, ends with '/'
    std::string ca_file, cert_file, key_file;
    std::string user, password_file;
    std::uint32_t lease_seconds = 0;  // etcd.leaseSeconds: 15
  } etcd;
  Encapsulation encapsulation = Encapsulation::kVxlan;  // encapsulation: vxlan | crossSubnet | none
  struct Vxlan {
    std::uint32_t vni = 0;   // vxlan.vni: 4096
    std::uint16_t port = 0;  // vxlan.port: 4789
  } vxlan;
  struct Bird {
    std::string config_file;     // bird.configFile: "" none
    std::string control_socket;  // bird.controlSocket: "" none
  } bird;

  /// Name servers of pods: dns.servers, else the 10th address of the service range, where Kubernetes has its own.
  std::vector<net::IpAddress> dns_servers() const;

  std::string switch_socket() const { return runtime_dir + "/switch.sock"; }
  std::string agent_socket() const { return runtime_dir + "/agent.sock"; }
  /// Of the pods' sockets; below it lies what pods may write.
  std::string vhost_directory() const { return runtime_dir + "/vhost"; }
};

/// Reads `path`, or kDefaultPath when `path` is empty (then a missing file gives the defaults).
net::Result<Config> load(const std::string& path);
/// Checks `text`; `file` is for the error messages.
net::Result<Config> parse(const std::string& text, const std::string& file);

/// The list of keys for a person: what `--help` of each program ends with.
std::string help_text();
/// docs/config.md and the OPTIONS section of the man page.
std::string markdown_text();
std::string man_text();

}  // namespace millrace::control::config
