/// The network configuration a runtime writes to stdin: one plugin of a conflist, with what libcni adds to it.
///
/// Shape:   cniVersion, name, type, ipam{type}, dns, args, runtimeConfig, prevResult, cni.dev/valid-attachments (GC),
///          and our own keys:
///            agentSocket  path of millrace-agent's socket, default kDefaultAgentSocket
///            mtu          bytes of an IP packet for the pod's interface, 0 or absent: the node's configured one
///          Keys nobody here reads are allowed: libcni leaves "capabilities" in, chained plugins have their own.
/// Errors:  CniCode::kInvalidConfig (kIncompatibleVersion for cniVersion) with the key and what is allowed.
/// Source:  CNI specification 1.1.0, section 1 and "Deriving execution configuration"; CONVENTIONS.md.
/// Thread:  plain values, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni-shim/cni_error.h"
#include "cni-shim/dhcp_daemon.h"
#include "cni-shim/dns.h"
#include "cni-shim/environment.h"
#include "cni-shim/json.h"
#include "cni-shim/port_wish.h"
#include "cni-shim/spec_version.h"
#include "net/address.h"

namespace millrace::cni_shim {

inline constexpr std::string_view kDefaultAgentSocket = "/run/millrace/agent.sock";
inline constexpr std::size_t kMaxSocketPathBytes = 107;  // sockaddr_un.sun_path less its terminator
inline constexpr std::uint32_t kMaxMtuBytes = 65535;
inline constexpr std::size_t kMaxValidAttachments = 65536;

/// One of the attachments that GC must leave alone.
struct ValidAttachment {
  std::string container_id;
  std::string ifname;
};

struct NetworkConfig {
  SpecVersion version = SpecVersion::k1_1_0;
  std::string name;
  std::string ipam_plugin;                      // file name of the delegated IPAM plugin; empty: the agent's own IPAM
  std::string dhcp_socket{kDefaultDhcpSocket};  // of the dhcp plugin's daemon, when that is the plugin
  std::string agent_socket{kDefaultAgentSocket};
  std::uint32_t mtu = 0;
  Dns dns;                                // "dns" and over it runtimeConfig.dns
  std::vector<net::IpAddress> addresses;  // wanted: runtimeConfig.ips, else args.cni.ips
  std::optional<net::Mac> mac;            // wanted: runtimeConfig.mac, else args.cni.mac
  PortWish port;                          // runtimeConfig["io.kubernetes.cri.pod-annotations"]
  Json prev_result;                       // null when there is none
  std::vector<ValidAttachment> valid_attachments;
};

/// Error kIncompatibleVersion also when `command` came later than the version.
CniResult<SpecVersion> parse_spec_version(const Json& config, Command command);

/// Reads what `command` needs and no more: DEL must succeed with a configuration whose prevResult or mtu went bad.
CniResult<NetworkConfig> parse_network_config(const Json& config, Command command);

}  // namespace millrace::cni_shim
