// millrace pod exec
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/pod_netns.h"
#include "control/cli/pod_resolver.h"
#include "control/cli/pod_spec.h"

namespace millrace::control::cli {

namespace {

constexpr int kNotFoundStatus = 127;  // as a shell tells it
constexpr int kNotExecutableStatus = 126;

struct Words {
  std::string name;
  std::string name_space = "default";
  std::vector<std::string> command;
};

/// Of a pod made by `pod add` without asking anybody; of another runtime's pod the agent knows it.
net::Result<std::string> netns_of(const config::Config& config, const Words& words) {
  const std::string own = netns_path(netns_name(config.runtime_dir, words.name_space, words.name));
  if (::access(own.c_str(), F_OK) == 0) return own;
  auto pods = agent_client(config).call(&api::Agent::Stub::ListPods, api::ListPodsRequest());
  if (!pods) return pods.error();
  for (const api::Pod& pod : pods->pods()) {
    if (pod.pod_namespace() == words.name_space && pod.pod_name() == words.name) return pod.netns();
  }
  return net::not_found(fmt::format("no pod {}; there are: millrace pod list", pod_text(words.name_space, words.name)));
}

net::Result<int> pod_exec(Context& context, const Words& words) {
  if (auto checked = check_pod_namespace(words.name_space); !checked) return checked.error();
  if (auto checked = check_pod_name(words.name); !checked) return checked.error();
  auto config = context.config();
  if (!config) return config.error();
  auto netns = netns_of(*config, words);
  if (!netns) return netns.error();
  if (auto entered = enter_netns(*netns); !entered) return entered.error();
  const std::string name = netns_name(config->runtime_dir, words.name_space, words.name);
  if (auto entered = enter_resolver(name); !entered) return entered.error();
  std::vector<char*> argv;
  for (const std::string& word : words.command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  ::execvp(argv[0], argv.data());
  const int error = errno;
  fmt::print(stderr, "millrace: {}: {}\n", words.command[0], std::strerror(error));
  return error == ENOENT ? kNotFoundStatus : kNotExecutableStatus;
}

}  // namespace

void add_pod_exec(CLI::App& pod, Context& context) {
  auto words = std::make_shared<Words>();
  CLI::App* command =
      add_command(pod, context, "exec", "Run a command in the network namespace of a pod: exec NAME -- COMMAND...",
                  [words](Context& c) { return pod_exec(c, *words); });
  command->add_option("NAME", words->name, "Name of the pod")->required();
  command->add_option("COMMAND", words->command, "Program and its arguments, behind --")->required();
  command->add_option("-n,--namespace", words->name_space, "Kubernetes namespace")
      ->type_name("NS")
      ->capture_default_str();
}

}  // namespace millrace::control::cli
