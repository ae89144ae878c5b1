// millrace pod list
#include <algorithm>
#include <chrono>
#include <map>

#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/message_json.h"
#include "control/cli/table.h"

namespace millrace::control::cli {

namespace {

std::string labels_text(const api::Pod& pod) {
  std::string out;
  for (const auto& [key, value] : std::map<std::string, std::string>(pod.labels().begin(), pod.labels().end())) {
    out += fmt::format("{}{}={}", out.empty() ? "" : ",", key, value);
  }
  return out;
}

std::string ports_text(const api::Pod& pod) {
  std::string out;
  for (const api::ContainerPort& port : pod.ports()) {
    out += fmt::format("{}{}{}{}/{}", out.empty() ? "" : ",", port.name(), port.name().empty() ? "" : ":", port.port(),
                       port.protocol());
  }
  return out;
}

std::string addresses_text(const api::Pod& pod) {
  std::string out;
  for (const std::string& address : pod.addresses()) out += (out.empty() ? "" : ",") + address_text(address);
  return out;
}

std::string age_text(const api::Pod& pod) {
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  const auto now_ms = static_cast<std::uint64_t>(now.count());
  return duration_text(now_ms > pod.created_unix_ms() ? now_ms - pod.created_unix_ms() : 0);
}

const char* type_text(const api::Pod& pod) {
  return pod.port_type() == api::PORT_TYPE_VHOST_USER ? "vhost-user" : "kernel";
}

std::string pod_table(const api::ListPodsReply& reply, bool wide) {
  std::vector<Table::Column> columns = {{"NAMESPACE"}, {"NAME"}, {"ADDRESSES"}, {"TYPE"}, {"INTERFACE"}, {"LABELS"}};
  if (wide) {
    for (const char* title : {"PORTS", "MAC", "MTU", "SOCKET", "NETNS", "CONTAINER", "AGE"}) columns.push_back({title});
  }
  Table table(columns);
  for (const api::Pod& pod : reply.pods()) {
    std::vector<std::string> cells = {pod.pod_namespace(), pod.pod_name(),       addresses_text(pod),
                                      type_text(pod),      pod.host_interface(), labels_text(pod)};
    if (wide) {
      for (std::string cell : {ports_text(pod), address_text(pod.mac()), std::to_string(pod.mtu()), pod.socket_path(),
                               pod.netns(), pod.key().container_id(), age_text(pod)}) {
        cells.push_back(std::move(cell));
      }
    }
    table.add(std::move(cells));
  }
  return table.to_string();
}

net::Result<int> pod_list(Context& context) {
  auto config = context.config();
  if (!config) return config.error();
  auto reply = agent_client(*config).call(&api::Agent::Stub::ListPods, api::ListPodsRequest());
  if (!reply) return reply.error();
  std::ranges::sort(*reply->mutable_pods(), [](const api::Pod& a, const api::Pod& b) {
    return std::tie(a.pod_namespace(), a.pod_name(), a.key().container_id()) <
           std::tie(b.pod_namespace(), b.pod_name(), b.key().container_id());
  });
  fmt::print("{}", context.json() ? json_text(to_json(*reply)) : pod_table(*reply, context.output == "wide"));
  return 0;
}

}  // namespace

void add_pod_list(CLI::App& pod, Context& context) {
  CLI::App* command = add_command(pod, context, "list", "List the pods of this node", pod_list);
  add_output_option(*command, context, {"wide"});
}

void add_pod(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("pod", "Add, delete, list and enter pods, as a kubelet would");
  group->require_subcommand(1);
  add_pod_add(*group, context);
  add_pod_del(*group, context);
  add_pod_list(*group, context);
  add_pod_exec(*group, context);
}

}  // namespace millrace::control::cli
