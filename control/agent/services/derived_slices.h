/// What a cluster's controllers would write for a Service with a selector: EndpointSlices, and Endpoints of its first
/// family. They are shown to people and never stored.
///
/// Shape:   slices of each family whose endpoints come from the pods, one for each set of ports that these have (a
///          named port may be another number in each), kMaxDerivedEndpoints in each at most. A family without any
///          endpoint has one empty slice. A slice is named SERVICE-SUFFIX; the suffix follows from family, ports and
///          the slice's number, so it stays while these do. endpoints_of() finds in these slices what it finds in the
///          pods.
/// Thread:  pure functions.
/// Source:  kubernetes/pkg/controller/endpointslice, pkg/controller/endpoint.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "control/agent/services/endpoints.h"

namespace millrace::control::agent::services {

inline constexpr std::size_t kMaxDerivedEndpoints = 100;  // of a slice, as Kubernetes has it by default

// The label that says who writes them.
inline constexpr std::string_view kSliceManagerLabel = "endpointslice.kubernetes.io/managed-by";
inline constexpr std::string_view kEndpointsManagerLabel = "endpoints.kubernetes.io/managed-by";
inline constexpr std::string_view kManager = "millrace";

std::vector<kube::EndpointSlice> derived_slices(const kube::Service& service, const EndpointSources& sources);
/// Of the slices that count, stored or derived. nullopt: the service has no selector, or Endpoints are stored.
std::optional<kube::Endpoints> derived_endpoints(const kube::Service& service, const EndpointSources& sources);

}  // namespace millrace::control::agent::services
