/// CNI_ARGS: what a runtime says of the pod outside the network configuration.
///
/// Shape:   KEY=VALUE;KEY=VALUE in any order. containerd, CRI-O: K8S_POD_NAMESPACE K8S_POD_NAME K8S_POD_UID
///          K8S_POD_INFRA_CONTAINER_ID IgnoreUnknown=1. podman: IP MAC. `millrace pod add`: those of port_wish.h, too.
///          Of a key that comes twice the last counts.
/// Errors:  CniCode::kInvalidEnvironment: a piece without '=', a wrong value, or an unknown key without IgnoreUnknown.
/// Source:  CNI CONVENTIONS.md "CNI_ARGS"; libcni pkg/types/args.go.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni-shim/cni_error.h"
#include "cni-shim/port_wish.h"
#include "net/address.h"

namespace millrace::cni_shim {

inline constexpr std::size_t kMaxPodFieldBytes = 253;      // RFC 1123 subdomain; the agent checks the rest
inline constexpr std::size_t kMaxRequestedAddresses = 16;  // of one ADD

struct CniArgs {
  std::string pod_namespace;
  std::string pod_name;
  std::string pod_uid;
  std::vector<net::IpAddress> addresses;
  std::optional<net::Mac> mac;
  PortWish port;
};

CniResult<CniArgs> parse_cni_args(std::string_view text);

/// ADDRESS or ADDRESS/LENGTH; the length is checked and dropped, since the pool decides it.
/// Error: a sentence that begins with `field`, with `code`.
CniResult<net::IpAddress> parse_requested_address(std::string_view text, std::string_view field, CniCode code);

}  // namespace millrace::cni_shim
