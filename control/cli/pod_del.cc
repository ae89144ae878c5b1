// millrace pod del
#include <unistd.h>

#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/pod_netns.h"
#include "control/cli/pod_record.h"
#include "control/cli/pod_resolver.h"
#include "control/cli/pod_spec.h"
#include "control/cli/process.h"

namespace millrace::control::cli {

namespace {

struct Words {
  std::vector<std::string> names;
  std::string name_space = "default";
};

class PodRemover {
 public:
  PodRemover(const config::Config& config, std::string name_space)
      : config_(config), name_space_(std::move(name_space)), agent_(agent_client(config)) {}

  /// True when there was something to delete.
  net::Result<bool> remove(const std::string& name) {
    const std::string netns = netns_name(config_.runtime_dir, name_space_, name);
    const bool made_here = ::access(netns_path(netns).c_str(), F_OK) == 0;
    auto known = find(name);
    if (!known) return known.error();
    auto record = read_pod_record(config_, netns);
    if (known->has_key() && known->key().container_id() != netns) {
      return net::failed_precondition(
          fmt::format("the pod {} was made by another runtime, as container {}: delete it there",
                      pod_text(name_space_, name), known->key().container_id()));
    }
    if (!made_here && !record && !known->has_key()) return false;
    // Without a record (a torn or lost file) the network of this instance is the one it can only have been.
    if (!record) {
      record.emplace(PodRecord{.name_space = name_space_,
                               .name = name,
                               .netns = netns,
                               .network = CniNetwork::own(config_.agent_socket()),
                               .args = "",
                               .plugin_path = program_directory(),
                               .result = nullptr});
    }
    if (auto step = record->network.remove(record->attachment(), nlohmann::json::object(), record->result); !step) {
      return step.error();
    }
    if (auto step = forget(name); !step) return step.error();
    if (auto step = remove_resolver(netns); !step) return step.error();
    if (auto step = delete_netns(netns); !step) return step.error();
    delete_pod_record(config_, netns);
    return true;
  }

 private:
  /// What the agent knows of the pod; without a key when it knows nothing.
  net::Result<api::Pod> find(const std::string& name) {
    auto pods = agent_.call(&api::Agent::Stub::ListPods, api::ListPodsRequest());
    if (!pods) return pods.error();
    for (const api::Pod& pod : pods->pods()) {
      if (pod.pod_namespace() == name_space_ && pod.pod_name() == name) return pod;
    }
    return api::Pod();
  }

  net::Result<void> forget(const std::string& name) {
    api::DeletePodObjectRequest request;
    request.set_namespace_(name_space_);
    request.set_name(name);
    auto reply = agent_.call(&api::Agent::Stub::DeletePodObject, request);
    if (!reply) return reply.error();
    return {};
  }

  const config::Config& config_;
  std::string name_space_;
  AgentClient agent_;
};

net::Result<int> pod_del(Context& context, const Words& words) {
  if (auto checked = check_pod_namespace(words.name_space); !checked) return checked.error();
  for (const std::string& name : words.names) {
    if (auto checked = check_pod_name(name); !checked) return checked.error();
  }
  auto config = context.config();
  if (!config) return config.error();
  PodRemover remover(*config, words.name_space);
  int status = 0;
  for (const std::string& name : words.names) {
    const std::string pod = pod_text(words.name_space, name);
    const auto removed = remover.remove(name);
    if (!removed) {
      fmt::print(stderr, "millrace: {}: {}\n", pod, removed.error().message);
      status = 1;
    } else {
      fmt::print("pod {} {}\n", pod, *removed ? "deleted" : "was not there");
    }
  }
  return status;
}

}  // namespace

void add_pod_del(CLI::App& pod, Context& context) {
  auto words = std::make_shared<Words>();
  CLI::App* command =
      add_command(pod, context, "del", "Detach pods by the CNI plugin and remove their namespaces; may be repeated",
                  [words](Context& c) { return pod_del(c, *words); });
  command->add_option("NAME", words->names, "Names of the pods")->required();
  command->add_option("-n,--namespace", words->name_space, "Kubernetes namespace")
      ->type_name("NS")
      ->capture_default_str();
}

}  // namespace millrace::control::cli
