/// The readers of kinds: a manifest's map -> the typed object, refusing what the API server would refuse.
///
/// Shape:   `at` is the whole document: apiVersion, kind, metadata, spec, status.
/// Errors:  written down in the cursor's Issues; `out` is of use only if there are none.
/// Thread:  pure functions.
/// Source:  k8s.io/kubernetes/pkg/apis/core/validation, pkg/apis/discovery/validation, pkg/apis/networking/validation,
///          k8s.io/apimachinery/pkg/apis/meta/v1/validation (ValidateLabelSelector).
#pragma once

#include "control/kube/cursor.h"
#include "control/kube/object.h"

namespace millrace::control::kube {

void read_object(const Cursor& at, Namespace& out);
void read_object(const Cursor& at, Node& out);
void read_object(const Cursor& at, Pod& out);
void read_object(const Cursor& at, Service& out);
void read_object(const Cursor& at, Endpoints& out);
void read_object(const Cursor& at, EndpointSlice& out);
void read_object(const Cursor& at, NetworkPolicy& out);

/// What no field of a Service can break alone.
void check_service(const Cursor& spec, const Service& service);

inline constexpr std::string_view kServiceTypeNames[] = {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"};
inline constexpr std::string_view kTrafficPolicyNames[] = {"Cluster", "Local"};
inline constexpr std::string_view kIpFamilyPolicyNames[] = {"SingleStack", "PreferDualStack", "RequireDualStack"};
inline constexpr std::string_view kPodPhaseNames[] = {"Pending", "Running", "Succeeded", "Failed", "Unknown"};
inline constexpr std::string_view kAddressTypeNames[] = {"IPv4", "IPv6", "FQDN"};

/// An address that can be somebody's, not loopback, link-local, multicast or unspecified (ValidateEndpointIP).
void read_unicast(const Cursor& at, net::IpAddress& out);
/// A name of a port: DNS label, or "".
void read_port_label(const Cursor& at, std::string& out);
/// A port's number, 1..65535, or the name of a container's port.
void read_port_or_name(const Cursor& at, std::uint16_t& number, std::string& name);
/// A LabelSelector that is there.
void read_selector(const Cursor& at, LabelSelector& out);
/// The fields of a reference to an object.
void read_target(const Cursor& at, struct TargetRef& out);

inline constexpr const char* kDnsLabelRule = "1..63 of a-z 0-9 -, no - first or last";
inline constexpr const char* kSubdomainRule =
    "1..253 characters, parts of 1..63 of a-z 0-9 - with dots between, no - first or last in a part";
inline constexpr const char* kLabelKeyRule =
    "[DNS name/]name, the name 1..63 of A-Z a-z 0-9 - _ . with a letter or digit first and last";
inline constexpr const char* kLabelValueRule =
    "\"\", or 1..63 of A-Z a-z 0-9 - _ . with a letter or digit first and last";
inline constexpr const char* kPortNameRule = "1..15 of a-z 0-9 - with a letter, no - first, last or twice";

}  // namespace millrace::control::kube
