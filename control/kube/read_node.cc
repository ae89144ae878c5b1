// Namespace and Node.
#include "control/config/values.h"
#include "control/kube/readers.h"

namespace millrace::control::kube {
namespace {

constexpr std::size_t kPodCidrLimit = 2;  // one a family
constexpr std::size_t kAddressLimit = 64;

constexpr std::string_view kOthers[] = {"apiVersion", "kind"};

constexpr Field<Namespace> kNamespaceSpec[] = {{"finalizers", [](const Cursor&, Namespace&) {}}};
constexpr Field<Namespace> kNamespaceStatus[] = {
    {"phase", [](const Cursor&, Namespace&) {}},
    {"conditions", [](const Cursor&, Namespace&) {}},
};
constexpr Field<Namespace> kNamespaceFields[] = {
    {"metadata", [](const Cursor& at, Namespace& out) { read_metadata(at, Kind::kNamespace, out.meta); }},
    {"spec", [](const Cursor& at, Namespace& out) { read_fields(at, out, kNamespaceSpec); }},
    {"status", [](const Cursor& at, Namespace& out) { read_fields(at, out, kNamespaceStatus); }},
};

constexpr Field<Node> kSpecFields[] = {
    {"podCIDR", [](const Cursor&, Node&) {}},  // below: only when podCIDRs is absent
    {"podCIDRs",
     [](const Cursor& at, Node& out) {
       read_list(at, kPodCidrLimit, [&](const Cursor& entry) { read_prefix(entry, out.pod_cidrs.emplace_back()); });
     }},
};
constexpr std::string_view kSpecOthers[] = {"providerID", "unschedulable", "taints", "configSource", "externalID"};

void read_spec(const Cursor& at, Node& out) {
  read_fields(at, out, kSpecFields, kSpecOthers);
  for (std::size_t i = 0; at.value.is_map() && i < at.value.entries.size(); ++i) {
    const Value::Entry& entry = at.value.entries[i];
    if (entry.key != "podCIDR" || entry.value.is_null()) continue;
    net::Prefix prefix;
    read_prefix(at.field(i), prefix);
    if (out.pod_cidrs.empty()) out.pod_cidrs.push_back(prefix);
  }
}

struct Address {
  std::string type;
  std::string address;
};
constexpr Field<Address> kAddressFields[] = {
    {"type", [](const Cursor& at, Address& out) { read_text(at, out.type); }},
    {"address", [](const Cursor& at, Address& out) { read_text(at, out.address); }},
};

void read_addresses(const Cursor& at, Node& out) {
  read_list(at, kAddressLimit, [&](const Cursor& entry) {
    Address address;
    read_fields(entry, address, kAddressFields);
    if (address.type != "InternalIP" && address.type != "ExternalIP") return;  // Hostname, InternalDNS, ExternalDNS
    const auto ip = net::IpAddress::parse(address.address);
    if (!ip) return entry.fail_at("address", config::shown(address.address), "an IPv4 or IPv6 address");
    out.addresses.push_back({address.type, *ip});
  });
}

constexpr Field<Node> kStatusFields[] = {{"addresses", read_addresses}};
constexpr std::string_view kStatusOthers[] = {"capacity",        "allocatable", "phase",  "conditions",
                                              "daemonEndpoints", "nodeInfo",    "images", "volumesInUse",
                                              "volumesAttached", "features",    "config", "runtimeHandlers"};

constexpr Field<Node> kNodeFields[] = {
    {"metadata", [](const Cursor& at, Node& out) { read_metadata(at, Kind::kNode, out.meta); }},
    {"spec", read_spec},
    {"status", [](const Cursor& at, Node& out) { read_fields(at, out, kStatusFields, kStatusOthers); }},
};

}  // namespace

void read_object(const Cursor& at, Namespace& out) {
  read_fields(at, out, kNamespaceFields, kOthers);
  if (at.value.find("metadata") == nullptr) at.fail_at("metadata", "is missing");
  out.meta.labels.insert_or_assign(std::string(kNamespaceNameLabel), out.meta.name);
}

void read_object(const Cursor& at, Node& out) {
  read_fields(at, out, kNodeFields, kOthers);
  if (at.value.find("metadata") == nullptr) at.fail_at("metadata", "is missing");
}

}  // namespace millrace::control::kube
