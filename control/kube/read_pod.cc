// Pod: what the network needs, and the fields that Kubernetes knows and the network does not.
#include <set>

#include <fmt/format.h>

#include "control/config/values.h"
#include "control/kube/readers.h"
#include "control/names/syntax.h"

namespace millrace::control::kube {
namespace {

constexpr std::size_t kContainerLimit = 256;
constexpr std::size_t kPortLimit = 1000;
constexpr std::size_t kAddressLimit = 2;  // one a family
constexpr std::size_t kConditionLimit = 64;

struct Container {
  std::string name;
  std::string restart_policy;
  std::vector<ContainerPort> ports;
};

constexpr Field<ContainerPort> kPortFields[] = {
    {"name",
     [](const Cursor& at, ContainerPort& out) {
       read_text(at, out.name);
       if (!out.name.empty() && !names::is_port_name(out.name)) at.fail(config::shown(out.name), kPortNameRule);
     }},
    {"containerPort", [](const Cursor& at, ContainerPort& out) { read_port(at, out.port); }},
    {"protocol", [](const Cursor& at, ContainerPort& out) { read_enum(at, kProtocolNames, out.protocol); }},
    {"hostPort",
     [](const Cursor& at, ContainerPort& out) {
       if (at.value.type == Value::Type::kInteger && at.value.integer == 0) return;
       read_port(at, out.host_port);
     }},
};
constexpr std::string_view kPortOthers[] = {"hostIP"};

void read_ports(const Cursor& at, Container& out) {
  std::set<std::string> names;
  read_list(at, kPortLimit, [&](const Cursor& entry) {
    ContainerPort& port = out.ports.emplace_back();
    read_fields(entry, port, kPortFields, kPortOthers);
    if (!entry.value.is_map()) return;
    if (entry.value.find("containerPort") == nullptr) entry.fail_at("containerPort", "is missing", "1..65535");
    if (!port.name.empty() && !names.insert(port.name).second) {
      entry.fail_at("name", fmt::format("\"{}\" is there twice", port.name), "each name once");
    }
  });
}

constexpr Field<Container> kContainerFields[] = {
    {"name", [](const Cursor& at, Container& out) { read_text(at, out.name); }},
    {"ports", read_ports},
    {"restartPolicy", [](const Cursor& at, Container& out) { read_text(at, out.restart_policy); }},
};
constexpr std::string_view kContainerOthers[] = {"image",
                                                 "command",
                                                 "args",
                                                 "workingDir",
                                                 "envFrom",
                                                 "env",
                                                 "resources",
                                                 "resizePolicy",
                                                 "restartPolicyRules",
                                                 "volumeMounts",
                                                 "volumeDevices",
                                                 "livenessProbe",
                                                 "readinessProbe",
                                                 "startupProbe",
                                                 "lifecycle",
                                                 "terminationMessagePath",
                                                 "terminationMessagePolicy",
                                                 "imagePullPolicy",
                                                 "securityContext",
                                                 "stdin",
                                                 "stdinOnce",
                                                 "tty"};

/// Ports of containers that run as long as the pod does; an init container does so with restartPolicy Always.
void read_containers(const Cursor& at, Pod& out, bool is_init) {
  std::set<std::string> names;
  read_list(at, kContainerLimit, [&](const Cursor& entry) {
    Container container;
    read_fields(entry, container, kContainerFields, kContainerOthers);
    if (!entry.value.is_map()) return;
    if (container.name.empty()) {
      entry.fail_at("name", "is missing", kDnsLabelRule);
    } else if (!names::is_dns_label(container.name)) {
      entry.fail_at("name", config::shown(container.name), kDnsLabelRule);
    } else if (!names.insert(container.name).second) {
      entry.fail_at("name", fmt::format("\"{}\" is there twice", container.name), "each name once");
    }
    if (is_init && container.restart_policy != "Always") return;
    out.ports.insert(out.ports.end(), container.ports.begin(), container.ports.end());
  });
}

constexpr Field<Pod> kSpecFields[] = {
    {"containers", [](const Cursor& at, Pod& out) { read_containers(at, out, false); }},
    {"initContainers", [](const Cursor& at, Pod& out) { read_containers(at, out, true); }},
    {"nodeName", [](const Cursor& at, Pod& out) { read_text(at, out.node_name); }},
    {"hostNetwork", [](const Cursor& at, Pod& out) { read_boolean(at, out.host_network); }},
};
constexpr std::string_view kSpecOthers[] = {"volumes",
                                            "ephemeralContainers",
                                            "restartPolicy",
                                            "terminationGracePeriodSeconds",
                                            "activeDeadlineSeconds",
                                            "dnsPolicy",
                                            "dnsConfig",
                                            "nodeSelector",
                                            "serviceAccountName",
                                            "serviceAccount",
                                            "automountServiceAccountToken",
                                            "hostPID",
                                            "hostIPC",
                                            "hostUsers",
                                            "shareProcessNamespace",
                                            "securityContext",
                                            "imagePullSecrets",
                                            "hostname",
                                            "hostnameOverride",
                                            "subdomain",
                                            "setHostnameAsFQDN",
                                            "affinity",
                                            "schedulerName",
                                            "schedulingGates",
                                            "tolerations",
                                            "topologySpreadConstraints",
                                            "hostAliases",
                                            "priorityClassName",
                                            "priority",
                                            "preemptionPolicy",
                                            "readinessGates",
                                            "runtimeClassName",
                                            "enableServiceLinks",
                                            "overhead",
                                            "os",
                                            "resources",
                                            "resourceClaims"};

struct Condition {
  std::string type;
  std::string status;
};
constexpr Field<Condition> kConditionFields[] = {
    {"type", [](const Cursor& at, Condition& out) { read_text(at, out.type); }},
    {"status", [](const Cursor& at, Condition& out) { read_text(at, out.status); }},
};
constexpr std::string_view kConditionOthers[] = {"lastProbeTime", "lastTransitionTime", "reason", "message",
                                                 "observedGeneration"};

constexpr Field<net::IpAddress> kPodIpFields[] = {
    {"ip", [](const Cursor& at, net::IpAddress& out) { read_unicast(at, out); }},
};

void add_address(Pod& out, const net::IpAddress& address) {
  for (const net::IpAddress& there : out.addresses) {
    if (there == address) return;
  }
  out.addresses.push_back(address);
}

constexpr Field<Pod> kStatusFields[] = {
    {"phase", [](const Cursor& at, Pod& out) { read_enum(at, kPodPhaseNames, out.phase); }},
    {"podIP",
     [](const Cursor& at, Pod& out) {
       if (at.value.type == Value::Type::kText && at.value.text.empty()) return;
       net::IpAddress address;
       read_unicast(at, address);
       // It is the first one of podIPs, which may have been read before.
       if (out.addresses.empty()) out.addresses.push_back(address);
     }},
    {"podIPs",
     [](const Cursor& at, Pod& out) {
       read_list(at, kAddressLimit, [&](const Cursor& entry) {
         net::IpAddress address;
         read_fields(entry, address, kPodIpFields);
         add_address(out, address);
       });
     }},
    {"conditions",
     [](const Cursor& at, Pod& out) {
       read_list(at, kConditionLimit, [&](const Cursor& entry) {
         Condition condition;
         read_fields(entry, condition, kConditionFields, kConditionOthers);
         if (condition.type == "Ready") out.ready = condition.status == "True";
       });
     }},
};
constexpr std::string_view kStatusOthers[] = {"message",
                                              "reason",
                                              "nominatedNodeName",
                                              "hostIP",
                                              "hostIPs",
                                              "startTime",
                                              "initContainerStatuses",
                                              "containerStatuses",
                                              "ephemeralContainerStatuses",
                                              "qosClass",
                                              "resize",
                                              "resourceClaimStatuses",
                                              "observedGeneration"};

constexpr Field<Pod> kFields[] = {
    {"metadata", [](const Cursor& at, Pod& out) { read_metadata(at, Kind::kPod, out.meta); }},
    {"spec",
     [](const Cursor& at, Pod& out) {
       read_fields(at, out, kSpecFields, kSpecOthers);
       const Value* containers = at.value.find("containers");
       if (containers == nullptr || (containers->type == Value::Type::kList && containers->entries.empty())) {
         at.fail_at("containers", "is missing", "at least one container");
       }
     }},
    {"status", [](const Cursor& at, Pod& out) { read_fields(at, out, kStatusFields, kStatusOthers); }},
};
constexpr std::string_view kOthers[] = {"apiVersion", "kind"};

}  // namespace

void read_object(const Cursor& at, Pod& out) {
  read_fields(at, out, kFields, kOthers);
  if (at.value.find("metadata") == nullptr) at.fail_at("metadata", "is missing");
  if (at.value.find("spec") == nullptr) at.fail_at("spec", "is missing");
}

}  // namespace millrace::control::kube
