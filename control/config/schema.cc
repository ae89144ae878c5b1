#include "control/config/schema.h"

#include <unistd.h>

#include <array>

#include <fmt/format.h>

#include "control/config/key_makers.h"
#include "control/config/mtu.h"
#include "control/config/values.h"
#include "control/names/syntax.h"

namespace millrace::control::config {

namespace {

/// IFNAMSIZ less the 0, less the letter of the switch's end.
constexpr std::size_t kHostPortLimit = 14;
constexpr std::size_t kInterfaceLimit = 15;
constexpr std::size_t kWorkerLimit = 64;

constexpr Range kWorkerCount{0, kWorkerLimit};
constexpr Range kCpu{0, 1023};
constexpr Range kPackets{4096, 1048576};
constexpr Range kPorts{2, 4096};
constexpr Range kRules{1024, 1048576};
constexpr Range kMtu{576, kMtuLimitBytes};
constexpr Range kPool4{8, 30};
constexpr Range kBlock4{16, 30};
constexpr Range kPool6{16, 126};
constexpr Range kBlock6{64, 126};
constexpr Range kBlockIndex{0, 0xffffffff};
constexpr Range kService4{12, 28};  // at most 2^20 addresses, as kube-apiserver has it
constexpr Range kService6{108, 124};
constexpr Range kNatPort{1024, 65535};
constexpr std::size_t kDnsServerLimit = 3;  // resolv.conf(5): MAXNS

std::vector<Key> general_keys() {
  const Names levels = {"trace", "debug", "info", "warning", "error"};
  return {
      text("nodeName", "", "an RFC 1123 name: lower-case letters, digits, '-' and '.', at most 253 characters",
           "Name of this node in Kubernetes.",
           [](const YAML::Node& node, Config& config) { return read_node_name(node, config.node_name); }),
      text("runtimeDir", "/run/millrace",
           "an absolute path of at most 95 bytes: letters, digits and . _ / - + @, without \"..\"",
           "Directory of the sockets, pid files and logs of `millrace up`. Two instances on one machine need two.",
           [](const YAML::Node& node, Config& config) { return read_socket_dir(node, config.runtime_dir); }),
      text("stateDir", "/var/lib/millrace",
           "an absolute path of at most 1024 bytes: letters, digits and . _ / - + @, without \"..\"",
           "Directory of the agent's database, which must survive a restart of the machine. "
           "Two instances on one machine need two.",
           [](const YAML::Node& node, Config& config) { return read_path(node, config.state_dir); }),
      choice("logLevel", "info", levels, "The least important messages that both daemons still write.",
             [levels](std::size_t index, Config& config) { config.log_level = std::string(levels[index]); }),
      choice("poll", "adaptive", {"adaptive", "always"},
             "What a worker with nothing to do does. `adaptive`: it sleeps in growing steps and wakes with the first "
             "packet. `always`: it never sleeps and takes its whole core, for the lowest latency.",
             [](std::size_t index, Config& config) { config.poll = static_cast<Poll>(index); }),
      text("uplink", "none", "none, auto, or a name of an interface: at most 15 letters, digits and . _ -",
           "Interface to the world: node ports and other addresses of services are served on it, and answers to pods' "
           "masqueraded packets come back by it. `auto`: that of the default route when the agent starts. `none`: pods "
           "leave with their own addresses. The workers and the packets are put on the NUMA node of an interface that "
           "is named.",
           [](const YAML::Node& node, Config& config) {
             std::string name;
             if (auto wrong = read_interface(node, kInterfaceLimit, true, name); !wrong.empty()) return wrong;
             config.uplink = name == "none" ? "" : name;
             return std::string();
           }),
      text("uplinkDevice", "none",
           "none, a PCI address (0000:3b:00.0), a driver of DPDK's with its arguments (net_pcap0,iface=eth1), or a "
           "socket "
           "(vhost-user,path=PATH,mac=MAC, and role=client): at most 255 characters",
           "Device that the switch drives by itself, with DPDK: for a PCI device bound to vfio-pci, which the kernel "
           "then does not have; or a vhost-user socket that another virtual switch has the other end of, and that is "
           "told "
           "its MAC here. `uplink` is then the name, at most 14 characters, of an interface that the agent makes: "
           "the node's own traffic goes through it, by the switch, and the node's addresses and routes belong on it. "
           "The switch's end of it has this name with an `s` behind it. `none`: `uplink` is an interface of the "
           "kernel's.",
           [](const YAML::Node& node, Config& config) {
             std::string device;
             if (auto wrong = read_device(node, device); !wrong.empty()) return wrong;
             config.uplink_device = device == "none" ? "" : device;
             return std::string();
           }),
      {"nodeAddresses", "list of addresses", "[]",
       fmt::format("a list of at most {} different unicast addresses", kNodeAddressLimit),
       "Addresses of this node: node ports are served on each, and masqueraded packets leave with the first of a "
       "family. Empty: those of the uplink.",
       [](const YAML::Node& node, Config& config) {
         return read_addresses(node, kNodeAddressLimit, config.node_addresses);
       }},
  };
}

std::vector<Key> resource_keys() {
  return {
      integer("workers.count", "0", kWorkerCount,
              "Number of workers, one a core. 0: as many as `workers.cpus` names, else placement decides.",
              [](std::uint32_t value, Config& config) { config.workers.count = value; }),
      {"workers.cpus", "list of integers", "[]",
       fmt::format("a list of at most {} different numbers {}", kWorkerLimit, kCpu.to_string()),
       "Cores of the workers, by the operating system's number, in the order of the workers. Empty: placement decides; "
       "`millrace topology` says what and why.",
       [](const YAML::Node& node, Config& config) {
         return read_integers(node, kCpu, kWorkerLimit, config.workers.cpus);
       }},
      integer("memory.packets", "32768", kPackets,
              "Packets that the switch can hold at one time, in all queues of all ports. One takes about 2 KiB with an "
              "mtu of 1500.",
              [](std::uint32_t value, Config& config) { config.memory.packets = value; }),
      choice(
          "memory.hugepages", "auto", {"auto", "2M", "1G", "off"},
          "Pages that packets lie in. `auto`: 1 GiB or 2 MiB hugepages if there are any, else 2 MiB hugepages are set "
          "up if that is permitted, else pages of 4 KiB. `off`: pages of 4 KiB.",
          [](std::size_t index, Config& config) { config.memory.hugepages = static_cast<Hugepages>(index); }),
      integer("portLimit", "256", kPorts, "Ports that the switch can have: one a pod, and the host port.",
              [](std::uint32_t value, Config& config) { config.port_limit = value; }),
      integer("policy.ruleLimit", "65536", kRules,
              "Rules of network policies that the switch can have, each counted by itself: 16 bytes a worker.",
              [](std::uint32_t value, Config& config) { config.rule_limit = value; }),
  };
}

std::vector<Key> network_keys() {
  return {
      text("hostPort", "millrace0", "a name of an interface: 1..14 letters, digits and . _ -",
           "Interface of the node through which it reaches the pods and the pods reach it. The switch's end has this "
           "name with an `s` behind it. Two instances on one machine need two.",
           [](const YAML::Node& node, Config& config) {
             return read_interface(node, kHostPortLimit, false, config.host_port);
           }),
      {"hostForwarding", "boolean", "true", "true | false",
       "Whether the agent switches IP forwarding of the node on, so that pods reach the world through it. With `false` "
       "pods reach each other and the node, and the rest is the administrator's.",
       [](const YAML::Node& node, Config& config) { return read_boolean(node, config.host_forwarding); }},
      {"mtu", "integer or auto", "auto", fmt::format("auto, or {}", kMtu.to_string()),
       "Largest IP packet of pod interfaces and of the host port, in bytes. At least 1280 with an IPv6 pool "
       "(RFC 8200 section 5). The upper limit is what XDP on a veth takes in one page. `auto`: 1500; with `store: "
       "etcd` "
       "the uplink's, less what the encapsulation adds: 50 bytes over IPv4, 70 over IPv6.",
       [](const YAML::Node& node, Config& config) {
         if (!node.IsScalar() || node.Scalar() != "auto") return read_integer(node, kMtu, config.mtu);
         config.mtu = 0;
         return std::string();
       }},
      {"gateway.ipv4", "IPv4 address", "169.254.1.1", "a unicast IPv4 address outside of ipam.ipv4.pool",
       "Next hop of the pods, which the switch answers for. The same on each node, so link-local fits well.",
       [](const YAML::Node& node, Config& config) { return read_gateway_ipv4(node, config.gateway.ipv4); }},
      {"gateway.ipv6", "IPv6 address", "fe80::1", "a unicast IPv6 address outside of ipam.ipv6.pool",
       "Next hop of the pods for IPv6.",
       [](const YAML::Node& node, Config& config) { return read_gateway_ipv6(node, config.gateway.ipv6); }},
      {"gateway.mac", "MAC address", "02:4d:52:00:00:01", "a unicast MAC address", "MAC address of the next hop.",
       [](const YAML::Node& node, Config& config) { return read_gateway_mac(node, config.gateway.mac); }},
  };
}

template <std::optional<AddressPool> Config::Ipam::*pool>
Key pool_key(std::string_view path, std::string_view fallback, std::uint8_t family, Range lengths,
             std::string_view about) {
  return {path,
          "prefix",
          fallback,
          fmt::format("an IPv{} prefix with a length of {}, or none", family, lengths.to_string()),
          about,
          [=](const YAML::Node& node, Config& config) { return read_pool(node, family, lengths, config.ipam.*pool); }};
}

template <std::optional<AddressPool> Config::Ipam::*pool>
Key block_key(std::string_view path, std::string_view fallback, Range range, std::string_view about) {
  return integer(path, fallback, range, about, [](std::uint32_t value, Config& config) {
    if (config.ipam.*pool) (config.ipam.*pool)->block_bits = static_cast<std::uint8_t>(value);
  });
}

template <std::optional<AddressPool> Config::Ipam::*pool>
Key nat_key(std::string_view path, std::string_view about) {
  return {path, "boolean", "true", "true | false", about, [](const YAML::Node& node, Config& config) {
            bool value = true;
            std::string wrong = read_boolean(node, value);
            if (wrong.empty() && config.ipam.*pool) (config.ipam.*pool)->nat_outgoing = value;
            return wrong;
          }};
}

std::vector<Key> ipam_keys() {
  using Ipam = Config::Ipam;
  return {
      pool_key<&Ipam::ipv4>("ipam.ipv4.pool", "10.244.0.0/16", 4, kPool4,
                            "Addresses of all pods of all nodes. `none`: pods get no IPv4 address from here."),
      block_key<&Ipam::ipv4>(
          "ipam.ipv4.blockLength", "24", kBlock4,
          "Prefix length of the part of the pool that one node hands out; at least that of the pool."),
      nat_key<&Ipam::ipv4>("ipam.ipv4.natOutgoing",
                           "Whether pods' packets to the outside leave with the node's address. Pods, services and "
                           "`nat.excluded` are not outside."),
      pool_key<&Ipam::ipv6>("ipam.ipv6.pool", "fd00:10:244::/112", 6, kPool6,
                            "The same for IPv6. `none`: pods get no IPv6 address from here."),
      block_key<&Ipam::ipv6>("ipam.ipv6.blockLength", "120", kBlock6, "The same for IPv6."),
      nat_key<&Ipam::ipv6>("ipam.ipv6.natOutgoing", "The same for IPv6."),
      integer(
          "ipam.block", "0", kBlockIndex,
          "Which block of each pool is this node's, counted from 0, with `store: embedded`. Different on each node. "
          "With `store: etcd` nodes find their blocks themselves.",
          [](std::uint32_t value, Config& config) { config.ipam.block_index = value; }),
  };
}

Key service_range_key(std::string_view path, std::string_view fallback, std::uint8_t family, Range lengths,
                      std::optional<net::Prefix> Config::Services::*range, std::string_view about) {
  return {path,
          "prefix",
          fallback,
          fmt::format("an IPv{} prefix with a length of {}, or none", family, lengths.to_string()),
          about,
          [=](const YAML::Node& node, Config& config) {
            return read_prefix(node, family, lengths, config.services.*range);
          }};
}

std::vector<Key> service_keys() {
  using Services = Config::Services;
  return {
      {"nat.portRange", "range of ports", "40960-65535",
       fmt::format("FIRST-LAST within {}, apart from services.nodePortRange", kNatPort.to_string()),
       "Ports of the node's addresses that masqueraded packets leave with. The kernel is told to take none of them for "
       "its own connections.",
       [](const YAML::Node& node, Config& config) {
         return read_port_range(node, kNatPort, config.nat.port_first, config.nat.port_last);
       }},
      {"nat.excluded", "list of prefixes", "[]", fmt::format("a list of at most {} different prefixes", kExcludedLimit),
       "Destinations that see the pods' own addresses, besides the pods themselves.",
       [](const YAML::Node& node, Config& config) { return read_prefixes(node, kExcludedLimit, config.nat.excluded); }},
      choice("nat.inbound", "established", {"established", "mapped"},
             "Who may send to the port of a masqueraded packet. `established`: only those it was sent to. `mapped`: "
             "everybody, as long as the port is in use (RFC 4787 REQ-8).",
             [](std::size_t index, Config& config) { config.nat.inbound = static_cast<NatInbound>(index); }),
      service_range_key("services.ipv4", "10.96.0.0/12", 4, kService4, &Services::ipv4,
                        "Addresses of services (ClusterIP). `none`: services have no IPv4 address."),
      service_range_key("services.ipv6", "fd00:10:96::/112", 6, kService6, &Services::ipv6, "The same for IPv6."),
      {"services.nodePortRange", "range of ports", "30000-32767",
       fmt::format("FIRST-LAST within {}, apart from nat.portRange", kNatPort.to_string()),
       "Ports of the node at which services of type NodePort and LoadBalancer are reached.",
       [](const YAML::Node& node, Config& config) {
         return read_port_range(node, kNatPort, config.services.node_port_first, config.services.node_port_last);
       }},
      {"services.nodePortsFromNode", "boolean", "true", "true | false",
       "Whether the node itself reaches node ports at its own addresses, loopback and link-local ones apart. The agent "
       "keeps a table of the kernel's nftables for it while there is a service with a node port, and the kernel then "
       "tracks the node's connections.",
       [](const YAML::Node& node, Config& config) { return read_boolean(node, config.services.node_ports_from_node); }},
      {"dns.servers", "list of addresses", "[]",
       fmt::format("a list of at most {} different unicast addresses", kDnsServerLimit),
       "Name servers of pods. Empty: the 10th address of `services.ipv4`, else of `services.ipv6`.",
       [](const YAML::Node& node, Config& config) {
         return read_addresses(node, kDnsServerLimit, config.dns.servers);
       }},
      text("dns.domain", "cluster.local", "an RFC 1123 name: lower-case letters, digits, '-' and '.'",
           "Domain of the cluster: pods look names up below NAMESPACE.svc.DOMAIN, svc.DOMAIN and DOMAIN.",
           [](const YAML::Node& node, Config& config) { return read_domain(node, config.dns.domain); }),
  };
}

std::vector<Key> all_keys() {
  std::vector<Key> keys;
  for (auto part :
       {general_keys(), resource_keys(), network_keys(), ipam_keys(), service_keys(), flow_keys(), cluster_keys()}) {
    keys.insert(keys.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
  }
  return keys;
}

}  // namespace

std::string Key::fallback_text() const { return fallback.empty() ? "the host name" : std::string(fallback); }

const std::vector<Key>& schema() {
  static const std::vector<Key> keys = all_keys();
  return keys;
}

std::string default_node_name() {
  std::array<char, 256> buffer{};
  if (gethostname(buffer.data(), buffer.size() - 1) != 0) return "node";
  std::string name(buffer.data());
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.')) c = '-';
  }
  return names::is_dns_subdomain(name) ? name : "node";
}

}  // namespace millrace::control::config
