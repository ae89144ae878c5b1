// EndpointSlice and Endpoints.
#include <set>

#include <fmt/format.h>

#include "control/config/values.h"
#include "control/kube/readers.h"
#include "control/names/syntax.h"

namespace millrace::control::kube {
namespace {

constexpr std::size_t kPortLimit = 100;  // discovery validation: maxPorts
constexpr std::size_t kSubsetLimit = 1000;
constexpr std::size_t kHintLimit = 8;

template <std::optional<bool> Endpoint::*condition>
void read_condition(const Cursor& at, Endpoint& out) {
  read_boolean(at, (out.*condition).emplace());
}

constexpr Field<Endpoint> kConditionFields[] = {
    {"ready", read_condition<&Endpoint::ready>},
    {"serving", read_condition<&Endpoint::serving>},
    {"terminating", read_condition<&Endpoint::terminating>},
};

constexpr Field<std::string> kHintFields[] = {
    {"name", [](const Cursor& at, std::string& out) { read_text(at, out); }},
};

template <std::vector<std::string> Endpoint::*hints>
void read_hints(const Cursor& at, Endpoint& out) {
  read_list(at, kHintLimit, [&](const Cursor& entry) { read_fields(entry, (out.*hints).emplace_back(), kHintFields); });
}

constexpr Field<Endpoint> kHintsFields[] = {
    {"forZones", read_hints<&Endpoint::hint_zones>},
    {"forNodes", read_hints<&Endpoint::hint_nodes>},
};

constexpr Field<TargetRef> kTargetFields[] = {
    {"kind", [](const Cursor& at, TargetRef& out) { read_text(at, out.kind); }},
    {"namespace", [](const Cursor& at, TargetRef& out) { read_text(at, out.name_space); }},
    {"name", [](const Cursor& at, TargetRef& out) { read_text(at, out.name); }},
};
constexpr std::string_view kTargetOthers[] = {"uid", "apiVersion", "resourceVersion", "fieldPath"};

/// The family is checked when the address type is known, which may stand behind the endpoints.
constexpr Field<Endpoint> kEndpointFields[] = {
    {"addresses", [](const Cursor&, Endpoint&) {}},
    {"conditions", [](const Cursor& at, Endpoint& out) { read_fields(at, out, kConditionFields); }},
    {"nodeName", [](const Cursor& at, Endpoint& out) { read_text(at, out.node_name); }},
    {"zone", [](const Cursor& at, Endpoint& out) { read_text(at, out.zone); }},
    {"hints", [](const Cursor& at, Endpoint& out) { read_fields(at, out, kHintsFields); }},
    {"targetRef", [](const Cursor& at, Endpoint& out) { read_target(at, out.target); }},
};
constexpr std::string_view kEndpointOthers[] = {"hostname", "deprecatedTopology"};

constexpr Field<EndpointPort> kPortFields[] = {
    {"name", [](const Cursor& at, EndpointPort& out) { read_port_label(at, out.name); }},
    {"protocol", [](const Cursor& at, EndpointPort& out) { read_enum(at, kProtocolNames, out.protocol); }},
    {"port", [](const Cursor& at, EndpointPort& out) { read_port(at, out.port); }},
};
constexpr std::string_view kPortOthers[] = {"appProtocol"};

void read_ports(const Cursor& at, std::vector<EndpointPort>& out) {
  std::set<std::string> names;
  read_list(at, kPortLimit, [&](const Cursor& entry) {
    EndpointPort& port = out.emplace_back();
    read_fields(entry, port, kPortFields, kPortOthers);
    if (!names.insert(port.name).second) {
      entry.fail_at("name", fmt::format("\"{}\" is there twice", port.name), "each name once");
    }
  });
}

void read_addresses(const Cursor& endpoint, AddressType type, Endpoint& out) {
  const Value* given = endpoint.value.find("addresses");
  if (given == nullptr || (given->type == Value::Type::kList && given->entries.empty())) {
    return endpoint.fail_at("addresses", "is missing", fmt::format("1..{} addresses", kMaxEndpointAddresses));
  }
  for (std::size_t i = 0; i < endpoint.value.entries.size(); ++i) {
    if (endpoint.value.entries[i].key != "addresses") continue;
    read_list(endpoint.field(i), kMaxEndpointAddresses, [&](const Cursor& entry) {
      if (type == AddressType::kFqdn) {
        std::string name;
        read_text(entry, name);
        if (!names::is_dns_subdomain(name)) entry.fail(config::shown(name), kSubdomainRule);
        return;
      }
      net::IpAddress& address = out.addresses.emplace_back();
      address.family = type == AddressType::kIpv4 ? 4 : 6;
      const std::uint8_t wanted = address.family;
      read_unicast(entry, address);
      if (address.family != wanted) {
        entry.fail(address.to_string(), fmt::format("an address of the addressType, IPv{}", wanted));
      }
    });
  }
}

void read_slice_endpoints(const Cursor& at, EndpointSlice& out) {
  read_list(at, kMaxSliceEndpoints, [&](const Cursor& entry) {
    Endpoint& endpoint = out.endpoints.emplace_back();
    read_fields(entry, endpoint, kEndpointFields, kEndpointOthers);
    if (entry.value.is_map()) read_addresses(entry, out.address_type, endpoint);
  });
}

/// Endpoints are read last: what their addresses may be hangs on the address type.
constexpr Field<EndpointSlice> kSliceFields[] = {
    {"metadata", [](const Cursor& at, EndpointSlice& out) { read_metadata(at, Kind::kEndpointSlice, out.meta); }},
    {"addressType", [](const Cursor& at, EndpointSlice& out) { read_enum(at, kAddressTypeNames, out.address_type); }},
    {"ports", [](const Cursor& at, EndpointSlice& out) { read_ports(at, out.ports); }},
    {"endpoints", [](const Cursor&, EndpointSlice&) {}},
};

constexpr Field<EndpointAddress> kAddressFields[] = {
    {"ip", [](const Cursor& at, EndpointAddress& out) { read_unicast(at, out.ip); }},
    {"nodeName", [](const Cursor& at, EndpointAddress& out) { read_text(at, out.node_name); }},
    {"targetRef", [](const Cursor& at, EndpointAddress& out) { read_target(at, out.target); }},
};
constexpr std::string_view kAddressOthers[] = {"hostname"};

template <std::vector<EndpointAddress> EndpointSubset::*list>
void read_subset_addresses(const Cursor& at, EndpointSubset& out) {
  read_list(at, kMaxSliceEndpoints, [&](const Cursor& entry) {
    read_fields(entry, (out.*list).emplace_back(), kAddressFields, kAddressOthers);
    if (entry.value.is_map() && entry.value.find("ip") == nullptr) entry.fail_at("ip", "is missing", "an IP address");
  });
}

constexpr Field<EndpointSubset> kSubsetFields[] = {
    {"addresses", read_subset_addresses<&EndpointSubset::addresses>},
    {"notReadyAddresses", read_subset_addresses<&EndpointSubset::not_ready_addresses>},
    {"ports", [](const Cursor& at, EndpointSubset& out) { read_ports(at, out.ports); }},
};

void read_subset(const Cursor& at, EndpointSubset& out) {
  read_fields(at, out, kSubsetFields);
  if (!at.value.is_map()) return;
  if (at.value.find("addresses") == nullptr && at.value.find("notReadyAddresses") == nullptr) {
    at.fail_at("addresses", "is missing", "addresses or notReadyAddresses");
  }
  for (std::size_t i = 0; i < out.ports.size(); ++i) {
    if (out.ports[i].port == 0) at.fail_at(fmt::format("ports[{}].port", i), "is missing", "1..65535");
    if (out.ports[i].name.empty() && out.ports.size() > 1) {
      at.fail_at(fmt::format("ports[{}].name", i), "is missing", "a name each, as there are several");
    }
  }
}

constexpr Field<Endpoints> kEndpointsFields[] = {
    {"metadata", [](const Cursor& at, Endpoints& out) { read_metadata(at, Kind::kEndpoints, out.meta); }},
    {"subsets",
     [](const Cursor& at, Endpoints& out) {
       read_list(at, kSubsetLimit, [&](const Cursor& entry) { read_subset(entry, out.subsets.emplace_back()); });
     }},
};
constexpr std::string_view kOthers[] = {"apiVersion", "kind"};

}  // namespace

void read_unicast(const Cursor& at, net::IpAddress& out) {
  const std::size_t before = at.issues().count();
  read_address(at, out);
  if (at.issues().count() != before) return;
  const bool cannot = out.is_v4() ? out.v4().is_unspecified() || out.v4().is_loopback() || out.v4().is_multicast() ||
                                        (out.v4().value.host() >> 16) == 0xa9fe || out.v4().is_broadcast()
                                  : out.v6().is_unspecified() || out.v6().is_loopback() || out.v6().is_multicast() ||
                                        out.v6().is_link_local();
  if (cannot) at.fail(out.to_string(), "a unicast address, not loopback, not link-local");
}

void read_target(const Cursor& at, TargetRef& out) { read_fields(at, out, kTargetFields, kTargetOthers); }

void read_object(const Cursor& at, EndpointSlice& out) {
  read_fields(at, out, kSliceFields, kOthers);
  if (at.value.find("metadata") == nullptr) at.fail_at("metadata", "is missing");
  if (at.value.find("addressType") == nullptr) return at.fail_at("addressType", "is missing", "IPv4, IPv6, FQDN");
  for (std::size_t i = 0; i < at.value.entries.size(); ++i) {
    const Value::Entry& entry = at.value.entries[i];
    if (entry.key == "endpoints" && !entry.value.is_null()) read_slice_endpoints(at.field(i), out);
  }
}

void read_object(const Cursor& at, Endpoints& out) {
  read_fields(at, out, kEndpointsFields, kOthers);
  if (at.value.find("metadata") == nullptr) at.fail_at("metadata", "is missing");
}

}  // namespace millrace::control::kube
