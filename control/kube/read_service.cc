// Service, field by field. service_rules.cc has what holds between fields.
#include <fmt/format.h>

#include "control/config/values.h"
#include "control/kube/readers.h"
#include "control/names/syntax.h"

namespace millrace::control::kube {
namespace {

constexpr std::size_t kPortLimit = 1000;  // of a Service; each needs a frontend an address
constexpr std::size_t kAddressLimit = 64;
constexpr std::size_t kSourceRangeLimit = 64;  // nat::kMaxSourceRanges

constexpr Field<ServicePort> kPortFields[] = {
    {"name", [](const Cursor& at, ServicePort& out) { read_port_label(at, out.name); }},
    {"protocol", [](const Cursor& at, ServicePort& out) { read_enum(at, kProtocolNames, out.protocol); }},
    {"port", [](const Cursor& at, ServicePort& out) { read_port(at, out.port); }},
    {"targetPort",
     [](const Cursor& at, ServicePort& out) { read_port_or_name(at, out.target.number, out.target.name); }},
    {"nodePort",
     [](const Cursor& at, ServicePort& out) {
       if (at.value.type == Value::Type::kInteger && at.value.integer == 0) return;  // as if absent
       read_port(at, out.node_port);
     }},
};
constexpr std::string_view kPortOthers[] = {"appProtocol"};

void read_ports(const Cursor& at, Service& out) {
  read_list(at, kPortLimit, [&](const Cursor& entry) {
    ServicePort& port = out.ports.emplace_back();
    read_fields(entry, port, kPortFields, kPortOthers);
    const Value* given = entry.value.find("port");
    if (entry.value.is_map() && given == nullptr) entry.fail_at("port", "is missing", "1..65535");
    if (port.target.number == 0 && port.target.name.empty()) port.target.number = port.port;
  });
}

/// "None", "" or an address.
void read_cluster_ip(const Cursor& at, Service& out) {
  if (at.value.type == Value::Type::kText && at.value.text.empty()) return;
  if (at.value.type == Value::Type::kText && at.value.text == "None") {
    out.headless = true;
    return;
  }
  net::IpAddress address;
  if (at.value.type == Value::Type::kText && !net::IpAddress::parse(at.value.text)) {
    return at.fail(config::shown(at.value.text), "None, an IPv4 or IPv6 address, or \"\" to be given one");
  }
  read_address(at, address);
  if (out.cluster_ips.empty() || out.cluster_ips[0] != address) out.cluster_ips.push_back(address);
}

void read_families(const Cursor& at, Service& out) {
  constexpr std::string_view kFamilies[] = {"IPv4", "IPv6"};
  read_list(at, 2, [&](const Cursor& entry) {
    std::size_t index = 0;
    read_choice(entry, kFamilies, index);
    const std::uint8_t family = index == 0 ? 4 : 6;
    if (!out.ip_families.empty() && out.ip_families[0] == family) return entry.fail("is there twice", "each once");
    out.ip_families.push_back(family);
  });
}

struct Affinity {
  bool by_client = false;
  std::int64_t seconds = 0;  // 0: not given
};

constexpr Field<Affinity> kClientIpFields[] = {
    {"timeoutSeconds", [](const Cursor& at, Affinity& out) { read_integer(at, 1, kMaxAffinitySeconds, out.seconds); }},
};
constexpr Field<Affinity> kAffinityFields[] = {
    {"clientIP", [](const Cursor& at, Affinity& out) { read_fields(at, out, kClientIpFields); }},
};

void read_affinity_seconds(const Cursor& at, Service& out) {
  Affinity affinity;
  read_fields(at, affinity, kAffinityFields);
  out.session_affinity_seconds =
      affinity.seconds == 0 ? kDefaultAffinitySeconds : static_cast<std::uint32_t>(affinity.seconds);
}

template <std::vector<net::IpAddress> Service::*list>
void read_unicast_list(const Cursor& at, Service& out) {
  read_list(at, kAddressLimit, [&](const Cursor& entry) { read_unicast(entry, (out.*list).emplace_back()); });
}

void read_source_ranges(const Cursor& at, Service& out) {
  read_list(at, kSourceRangeLimit,
            [&](const Cursor& entry) { read_prefix(entry, out.load_balancer_source_ranges.emplace_back()); });
}

constexpr Field<Service> kSpecFields[] = {
    {"type", [](const Cursor& at, Service& out) { read_enum(at, kServiceTypeNames, out.type); }},
    {"ports", read_ports},
    {"selector", [](const Cursor& at, Service& out) { read_labels(at, out.selector); }},
    {"clusterIP", [](const Cursor&, Service&) {}},  // both below, in this order
    {"clusterIPs", [](const Cursor&, Service&) {}},
    {"ipFamilies", read_families},
    {"ipFamilyPolicy",
     [](const Cursor& at, Service& out) { read_enum(at, kIpFamilyPolicyNames, out.ip_family_policy.emplace()); }},
    {"externalIPs", read_unicast_list<&Service::external_ips>},
    {"externalName",
     [](const Cursor& at, Service& out) {
       read_text(at, out.external_name);
       std::string_view name = out.external_name;
       if (name.ends_with('.')) name.remove_suffix(1);
       if (!name.empty() && !names::is_dns_subdomain(name)) at.fail(config::shown(out.external_name), kSubdomainRule);
     }},
    {"externalTrafficPolicy",
     [](const Cursor& at, Service& out) { read_enum(at, kTrafficPolicyNames, out.external_traffic_policy); }},
    {"internalTrafficPolicy",
     [](const Cursor& at, Service& out) { read_enum(at, kTrafficPolicyNames, out.internal_traffic_policy); }},
    {"healthCheckNodePort",
     [](const Cursor& at, Service& out) {
       if (at.value.type == Value::Type::kInteger && at.value.integer == 0) return;
       read_port(at, out.health_check_node_port);
     }},
    {"loadBalancerIP",
     [](const Cursor& at, Service& out) {
       if (at.value.type == Value::Type::kText && at.value.text.empty()) return;
       read_unicast(at, out.load_balancer_ip.emplace());
     }},
    {"loadBalancerSourceRanges", read_source_ranges},
    {"allocateLoadBalancerNodePorts",
     [](const Cursor& at, Service& out) { read_boolean(at, out.allocate_load_balancer_node_ports); }},
    {"publishNotReadyAddresses",
     [](const Cursor& at, Service& out) { read_boolean(at, out.publish_not_ready_addresses); }},
    {"sessionAffinity", [](const Cursor&, Service&) {}},  // both below
    {"sessionAffinityConfig", [](const Cursor&, Service&) {}},
    {"trafficDistribution",
     [](const Cursor& at, Service&) {
       constexpr std::string_view kNames[] = {"PreferClose", "PreferSameZone", "PreferSameNode"};
       std::size_t index = 0;
       read_choice(at, kNames, index);
     }},
};
/// Who implements a load balancer: here nobody asks, addresses come from the manifest.
constexpr std::string_view kSpecOthers[] = {"loadBalancerClass"};

/// The fields that need another one read before, whatever their order in the file.
void read_pairs(const Cursor& spec, Service& out) {
  constexpr std::string_view kAffinities[] = {"None", "ClientIP"};
  std::size_t affinity = 0;
  for (const std::string_view name : {"clusterIP", "clusterIPs", "sessionAffinity", "sessionAffinityConfig"}) {
    for (std::size_t i = 0; i < spec.value.entries.size(); ++i) {
      const Value::Entry& entry = spec.value.entries[i];
      if (entry.key != name || entry.value.is_null()) continue;
      const Cursor at = spec.field(i);
      if (name == "clusterIP") read_cluster_ip(at, out);
      if (name == "clusterIPs") read_list(at, 2, [&](const Cursor& e) { read_cluster_ip(e, out); });
      if (name == "sessionAffinity") {
        read_choice(at, kAffinities, affinity);
        if (affinity == 1) out.session_affinity_seconds = kDefaultAffinitySeconds;
      }
      if (name == "sessionAffinityConfig") {
        if (affinity == 0) at.fail("without sessionAffinity ClientIP", "none, or sessionAffinity: ClientIP");
        read_affinity_seconds(at, out);
      }
    }
  }
}

struct Ingress {
  std::optional<net::IpAddress> ip;
  std::size_t mode = 0;
};

constexpr Field<Ingress> kIngressFields[] = {
    {"ip", [](const Cursor& at, Ingress& out) { read_unicast(at, out.ip.emplace()); }},
    {"ipMode",
     [](const Cursor& at, Ingress& out) {
       constexpr std::string_view kModes[] = {"VIP", "Proxy"};
       read_choice(at, kModes, out.mode);
     }},
};
constexpr std::string_view kIngressOthers[] = {"hostname", "ports"};

constexpr Field<Service> kLoadBalancerFields[] = {
    {"ingress",
     [](const Cursor& at, Service& out) {
       read_list(at, kAddressLimit, [&](const Cursor& entry) {
         Ingress ingress;
         read_fields(entry, ingress, kIngressFields, kIngressOthers);
         if (ingress.ip && ingress.mode == 0) out.load_balancer_ingress.push_back(*ingress.ip);
       });
     }},
};
constexpr std::string_view kStatusOthers[] = {"conditions"};
constexpr Field<Service> kStatusFields[] = {
    {"loadBalancer", [](const Cursor& at, Service& out) { read_fields(at, out, kLoadBalancerFields); }},
};

constexpr Field<Service> kFields[] = {
    {"metadata", [](const Cursor& at, Service& out) { read_metadata(at, Kind::kService, out.meta); }},
    {"spec",
     [](const Cursor& at, Service& out) {
       read_fields(at, out, kSpecFields, kSpecOthers);
       if (!at.value.is_map()) return;
       read_pairs(at, out);
       check_service(at, out);
     }},
    {"status", [](const Cursor& at, Service& out) { read_fields(at, out, kStatusFields, kStatusOthers); }},
};
constexpr std::string_view kOthers[] = {"apiVersion", "kind"};

}  // namespace

void read_port_label(const Cursor& at, std::string& out) {
  read_text(at, out);
  if (!out.empty() && !names::is_dns_label(out)) at.fail(config::shown(out), kDnsLabelRule);
}

void read_port_or_name(const Cursor& at, std::uint16_t& number, std::string& name) {
  constexpr const char* kAllowed = "1..65535, or a name of 1..15 of a-z 0-9 - with a letter, no - first, last or twice";
  if (at.value.type == Value::Type::kText) {
    if (!names::is_port_name(at.value.text)) return at.fail(config::shown(at.value.text), kAllowed);
    name = at.value.text;
  } else if (at.want(Value::Type::kInteger, "an integer or a name", kAllowed)) {
    if (at.value.integer < 1 || at.value.integer > 65535) return at.fail(fmt::format("{}", at.value.integer), kAllowed);
    number = static_cast<std::uint16_t>(at.value.integer);
  }
}

void read_object(const Cursor& at, Service& out) {
  read_fields(at, out, kFields, kOthers);
  if (at.value.find("metadata") == nullptr) at.fail_at("metadata", "is missing");
  if (at.value.find("spec") == nullptr) at.fail_at("spec", "is missing");
}

}  // namespace millrace::control::kube
