#include "control/cli/pod_words.h"

#include <fmt/format.h>

#include "control/cli/client.h"

namespace millrace::control::cli {

NamespacedName NamespacedName::parse(const std::string& word) {
  const std::size_t slash = word.find('/');
  if (slash == std::string::npos) return {"default", word};
  return {word.substr(0, slash), word.substr(slash + 1)};
}

net::Result<std::vector<api::Pod>> find_pod(const config::Config& config, const NamespacedName& pod,
                                            const std::string& flag) {
  const auto pods = agent_client(config).call(&api::Agent::Stub::ListPods, api::ListPodsRequest());
  if (!pods) return pods.error();
  std::vector<api::Pod> found;
  for (const api::Pod& each : pods->pods()) {
    const bool is_it = each.pod_namespace() == pod.name_space && each.pod_name() == pod.name;
    if (is_it && each.addresses_size() > 0) found.push_back(each);
  }
  if (!found.empty()) return found;
  return net::not_found(fmt::format("{}{}no pod {} with an address on this node; see: millrace pod list", flag,
                                    flag.empty() ? "" : ": ", pod.to_string()));
}

}  // namespace millrace::control::cli
