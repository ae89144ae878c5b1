#include "control/kube/foreign_kinds.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "control/kube/cursor.h"
#include "control/names/syntax.h"

namespace millrace::control::kube {
namespace {

constexpr std::array<std::string_view, 7> kWorkloads = {
    "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController", "Job", "CronJob"};

constexpr std::array<std::string_view, 18> kUnrelated = {"ConfigMap",
                                                         "Secret",
                                                         "ServiceAccount",
                                                         "PersistentVolume",
                                                         "PersistentVolumeClaim",
                                                         "StorageClass",
                                                         "Role",
                                                         "RoleBinding",
                                                         "ClusterRole",
                                                         "ClusterRoleBinding",
                                                         "HorizontalPodAutoscaler",
                                                         "PodDisruptionBudget",
                                                         "ResourceQuota",
                                                         "LimitRange",
                                                         "PriorityClass",
                                                         "RuntimeClass",
                                                         "Lease",
                                                         "Event"};

/// Follows map keys; nullptr as soon as one is missing.
const Value* follow(const Value& from, std::initializer_list<std::string_view> keys) {
  const Value* value = &from;
  for (const std::string_view key : keys) {
    value = value->find(key);
    if (value == nullptr) return nullptr;
  }
  return value;
}

std::string ports_of(const Value& container) {
  std::string words;
  const Value* ports = container.find("ports");
  if (ports == nullptr) return words;
  for (const Value::Entry& entry : ports->entries) {
    const Value* number = entry.value.find("containerPort");
    if (number == nullptr || number->type != Value::Type::kInteger) continue;
    const Value* name = entry.value.find("name");
    const Value* protocol = entry.value.find("protocol");
    words += " --port ";
    if (name != nullptr && names::is_port_name(name->text)) words += name->text + ":";
    words += fmt::format("{}", number->integer);
    if (protocol != nullptr && (protocol->text == "UDP" || protocol->text == "SCTP")) words += "/" + protocol->text;
  }
  return words;
}

}  // namespace

bool is_workload(std::string_view kind) { return std::ranges::find(kWorkloads, kind) != kWorkloads.end(); }
bool is_unrelated(std::string_view kind) { return std::ranges::find(kUnrelated, kind) != kUnrelated.end(); }

std::string pod_add_hint(const Value& workload) {
  std::string words = "millrace pod add NAME";
  const Value* name_space = follow(workload, {"metadata", "namespace"});
  if (name_space != nullptr && names::is_dns_label(name_space->text)) words += " --namespace " + name_space->text;
  // A CronJob's pods are one level further down.
  const Value* pod = follow(workload, {"spec", "template"});
  if (pod == nullptr) pod = follow(workload, {"spec", "jobTemplate", "spec", "template"});
  if (pod == nullptr) return words;
  if (const Value* labels = follow(*pod, {"metadata", "labels"}); labels != nullptr) {
    for (const Value::Entry& label : labels->entries) {
      if (names::is_label_key(label.key) && names::is_label_value(label.value.text)) {
        words += fmt::format(" --label {}={}", label.key, label.value.text);
      }
    }
  }
  if (const Value* containers = follow(*pod, {"spec", "containers"}); containers != nullptr) {
    for (const Value::Entry& container : containers->entries) words += ports_of(container.value);
  }
  return words;
}

}  // namespace millrace::control::kube
