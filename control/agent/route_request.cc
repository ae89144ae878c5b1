#include "control/agent/route_request.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/agent/requests.h"
#include "control/netlink/netlink.h"

namespace millrace::control::agent {
namespace {

net::Error refused(std::size_t index, const char* field, const std::string& what) {
  return net::invalid_argument(fmt::format("routes[{}].{}: {}", index, field, what));
}

net::Result<RouteRequest> to_route_request(const api::PodRoute& message, std::size_t index) {
  auto address = to_address(fmt::format("routes[{}].destination", index), message.destination());
  if (!address) return address.error();
  if (message.prefix_length() > address->bits()) {
    return refused(index, "prefix_length", fmt::format("{}; allowed: 0..{}", message.prefix_length(), address->bits()));
  }
  RouteRequest request;
  request.route.destination = net::Prefix::of(*address, static_cast<std::uint8_t>(message.prefix_length()));
  if (request.route.destination.address != *address) {
    return refused(index, "destination",
                   fmt::format("{} has bits set behind its prefix of {}; allowed: {}", address->to_string(),
                               message.prefix_length(), request.route.destination.to_string()));
  }
  if (!message.gateway().empty()) {
    auto gateway = to_address(fmt::format("routes[{}].gateway", index), message.gateway());
    if (!gateway) return gateway.error();
    if (gateway->family != address->family) {
      return refused(index, "gateway",
                     fmt::format("{} for {}; allowed: one of the same family", gateway->to_string(),
                                 request.route.destination.to_string()));
    }
    request.gateway = *gateway;
  }
  if (message.advmss() > kMaxRouteAdvmss) {
    return refused(index, "advmss", fmt::format("{}; allowed: 0..{}", message.advmss(), kMaxRouteAdvmss));
  }
  request.route.mtu_bytes = message.mtu();
  request.route.advmss_bytes = message.advmss();
  const bool is_kernels = !address->is_v4() && message.priority() == netlink::kKernelPriorityIpv6;
  request.route.priority = is_kernels ? 0 : message.priority();
  return request;
}

net::Result<void> check_mtu(const ExtraRoute& route, std::uint32_t link_mtu, std::size_t index) {
  const std::uint32_t least = route.destination.address.is_v4() ? kMinMtu : kMinMtuIpv6;
  const std::uint32_t most = std::min(link_mtu, kMaxRouteMtu);
  if (route.mtu_bytes == 0 || (route.mtu_bytes >= least && route.mtu_bytes <= most)) return {};
  return refused(index, "mtu", fmt::format("{}; allowed: 0, or {}..{}", route.mtu_bytes, least, most));
}

net::Result<void> check_route(const RouteRequest& request, const RouteContext& context, std::size_t index) {
  const net::Prefix& destination = request.route.destination;
  const bool is_v4 = destination.address.is_v4();
  const net::IpAddress& own = is_v4 ? context.gateway_ipv4 : context.gateway_ipv6;
  if (!(is_v4 ? context.has_ipv4 : context.has_ipv6)) {
    return refused(index, "destination",
                   fmt::format("{}, but the pod has no IPv{} address; allowed: routes of a "
                               "family it has",
                               destination.to_string(), is_v4 ? 4 : 6));
  }
  if (destination.address == own && destination.length_bits == own.bits()) {
    return refused(
        index, "destination",
        fmt::format("{} is the pod's gateway, which is on the link; allowed: any other", destination.to_string()));
  }
  const auto& also = context.delegated_gateways;
  if (request.gateway && *request.gateway != own &&
      std::find(also.begin(), also.end(), *request.gateway) == also.end()) {
    return refused(index, "gateway",
                   fmt::format("{} is out of reach: a pod's only neighbour is its gateway; allowed: none, {}, or the "
                               "gateway of an address that was assigned",
                               request.gateway->to_string(), own.to_string()));
  }
  return check_mtu(request.route, context.mtu, index);
}

}  // namespace

net::Result<std::vector<RouteRequest>> to_route_requests(const google::protobuf::RepeatedPtrField<api::PodRoute>& all) {
  if (all.size() > kMaxRoutes) {
    return net::invalid_argument(fmt::format("routes: {}; allowed: at most {}", all.size(), kMaxRoutes));
  }
  std::vector<RouteRequest> requests;
  for (const api::PodRoute& message : all) {
    auto request = to_route_request(message, requests.size());
    if (!request) return request.error();
    requests.push_back(*std::move(request));
  }
  return requests;
}

net::Result<std::vector<ExtraRoute>> plan_routes(const std::vector<RouteRequest>& requests,
                                                 const RouteContext& context) {
  std::vector<ExtraRoute> routes;
  for (const RouteRequest& request : requests) {
    const std::size_t index = routes.size();
    if (auto checked = check_route(request, context, index); !checked) return checked.error();
    const auto is_same = [&](const ExtraRoute& other) {
      return other.destination == request.route.destination && other.priority == request.route.priority;
    };
    if (std::any_of(routes.begin(), routes.end(), is_same)) {
      return refused(index, "destination",
                     fmt::format("{} is there twice; allowed: once a priority", request.route.destination.to_string()));
    }
    routes.push_back(request.route);
  }
  return routes;
}

}  // namespace millrace::control::agent
