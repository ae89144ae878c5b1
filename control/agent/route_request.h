/// Routes an AddPodRequest asks for besides the default ones: from the message to what the pod gets.
///
/// Theory:  a pod's link ends at the switch, which answers ARP and ND for the gateway alone. So a route has the pod's
///          gateway as its next hop, whichever way the plugin said so: not at all (CNI spec 1.1.0: "if unset, a value
///          in gateway in the ips array may be used"), by the gateway of an address it gave, or by the pod's own. A
///          gateway of another name would swallow the packets, and is refused.
/// Errors:  kInvalidArgument "routes[I].FIELD: what is wrong; allowed: ...".
/// Thread:  pure functions.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <optional>
#include <vector>

#include "control/agent/model.h"
#include "control/api/agent.pb.h"
#include "net/result.h"

namespace millrace::control::agent {

inline constexpr int kMaxRoutes = 64;
inline constexpr std::uint32_t kMaxRouteMtu = 65535 - 15;     // net/ipv4/metrics.c cuts larger ones down to this
inline constexpr std::uint32_t kMaxRouteAdvmss = 65535 - 40;  // as above

/// One route, each field of it possible by itself.
struct RouteRequest {
  ExtraRoute route;
  std::optional<net::IpAddress> gateway;
};

/// What the routes must agree with.
struct RouteContext {
  net::IpAddress gateway_ipv4;                     // of the pod
  net::IpAddress gateway_ipv6;                     // of the pod
  std::vector<net::IpAddress> delegated_gateways;  // that stand for the pod's
  bool has_ipv4 = false;                           // the pod has an address of the family
  bool has_ipv6 = false;
  std::uint32_t mtu = 0;  // of the pod's interface
};

net::Result<std::vector<RouteRequest>> to_route_requests(const google::protobuf::RepeatedPtrField<api::PodRoute>& all);

/// The routes as they are set.
net::Result<std::vector<ExtraRoute>> plan_routes(const std::vector<RouteRequest>& requests,
                                                 const RouteContext& context);

}  // namespace millrace::control::agent
