// millrace pod add
#include <csignal>
#include <fstream>

#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/message_json.h"
#include "control/cli/pod_netns.h"
#include "control/cli/pod_record.h"
#include "control/cli/pod_resolver.h"
#include "control/cli/pod_spec.h"
#include "control/cli/process.h"

namespace millrace::control::cli {

namespace {

using Json = nlohmann::json;

struct Words {
  PodWords pod;
  std::string conflist;
  std::string plugin_path;
};

/// Holds back Ctrl-C and its like, so that a pod is made as a whole or not at all; when it goes, they arrive.
class SignalHold {
 public:
  SignalHold() {
    sigemptyset(&held_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&held_, number);
    pthread_sigmask(SIG_BLOCK, &held_, &before_);
  }
  ~SignalHold() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalHold(const SignalHold&) = delete;
  SignalHold& operator=(const SignalHold&) = delete;

  net::Result<void> check() const {
    sigset_t pending;
    sigpending(&pending);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
      if (sigismember(&pending, number) == 1) return net::unavailable("interrupted; nothing was made");
    }
    return {};
  }

 private:
  sigset_t held_{}, before_{};
};

std::string random_uuid() {
  std::ifstream file("/proc/sys/kernel/random/uuid");
  std::string line;
  std::getline(file, line);
  return line;
}

/// One pod on its way: `make` goes step by step, `undo` takes back what was made, in reverse.
class PodMaker {
 public:
  PodMaker(const config::Config& config, const PodSpec& spec, PodRecord record, const SignalHold& hold)
      : config_(config), spec_(spec), record_(std::move(record)), hold_(hold), agent_(agent_client(config)) {
    if (!spec.addresses.empty()) capability_arguments_["ips"] = spec.addresses;
    if (!spec.mac.empty()) capability_arguments_["mac"] = spec.mac;
  }

  net::Result<api::Pod> make() {
    if (auto step = check_free(); !step) return step.error();
    if (auto step = create_netns(record_.netns); !step) return step.error();
    auto made = make_in_netns();
    if (!made) undo();
    return made;
  }

 private:
  net::Result<void> check_free() {
    const net::Error taken = net::already_exists(
        fmt::format("the pod {0} is there already; delete it with: millrace pod del {1} --namespace {2}",
                    pod_text(record_.name_space, record_.name), record_.name, record_.name_space));
    auto pods = agent_.call(&api::Agent::Stub::ListPods, api::ListPodsRequest());
    if (!pods) return pods.error();
    for (const api::Pod& pod : pods->pods()) {
      if (pod.pod_namespace() == record_.name_space && pod.pod_name() == record_.name) return taken;
    }
    if (read_pod_record(config_, record_.netns)) return taken;
    return {};
  }

  net::Result<api::Pod> make_in_netns() {
    if (auto step = write_pod_record(config_, record_); !step) return step.error();
    api::SetPodObjectRequest request;
    *request.mutable_object() = spec_.object;
    if (auto step = agent_.call(&api::Agent::Stub::SetPodObject, request); !step) return step.error();
    if (auto step = hold_.check(); !step) return step.error();
    auto result = record_.network.add(record_.attachment(), capability_arguments_);
    if (!result) return result.error();
    record_.result = *result;
    if (auto step = write_resolver(record_.netns, record_.result); !step) return step.error();
    if (auto step = write_pod_record(config_, record_); !step) return step.error();
    if (auto step = hold_.check(); !step) return step.error();
    return find();
  }

  net::Result<api::Pod> find() {
    auto pods = agent_.call(&api::Agent::Stub::ListPods, api::ListPodsRequest());
    if (!pods) return pods.error();
    for (const api::Pod& pod : pods->pods()) {
      if (pod.key().container_id() == record_.netns && pod.key().network() == record_.network.name()) return pod;
    }
    return net::failed_precondition(fmt::format(
        "the plugins of {} succeeded, but millrace-agent does not know the pod: is millrace-cni among them?",
        record_.network.name()));
  }

  /// The error that led here is the one to tell; what fails now is left for `pod del`, which finds the record.
  void undo() {
    const auto removed = record_.network.remove(record_.attachment(), capability_arguments_, record_.result);
    api::DeletePodObjectRequest request;
    request.set_namespace_(record_.name_space);
    request.set_name(record_.name);
    const auto forgotten = agent_.call(&api::Agent::Stub::DeletePodObject, request);
    const auto unresolved = remove_resolver(record_.netns);
    const auto gone = delete_netns(record_.netns);
    if (removed.ok() && forgotten.ok() && unresolved.ok() && gone.ok())
      return delete_pod_record(config_, record_.netns);
    fmt::print(stderr,
               "millrace: not all could be undone; when the cause is gone: millrace pod del {} --namespace {}\n",
               record_.name, record_.name_space);
  }

  const config::Config& config_;
  const PodSpec& spec_;
  PodRecord record_;
  const SignalHold& hold_;
  AgentClient agent_;
  Json capability_arguments_ = Json::object();
};

std::string cni_args(const PodSpec& spec, const std::string& container_id) {
  std::string args =
      fmt::format("IgnoreUnknown=1;K8S_POD_NAMESPACE={};K8S_POD_NAME={};K8S_POD_INFRA_CONTAINER_ID={};K8S_POD_UID={}",
                  spec.object.namespace_(), spec.object.name(), container_id, random_uuid());
  // As podman says them: for plugins that do not declare the capabilities `ips` and `mac`.
  for (std::size_t i = 0; i < spec.addresses.size(); ++i) args += (i == 0 ? ";IP=" : ",") + spec.addresses[i];
  if (!spec.mac.empty()) args += ";MAC=" + spec.mac;
  if (!spec.port_args.empty()) args += ";" + spec.port_args;
  return args;
}

void show(const api::Pod& pod) {
  std::string addresses;
  for (const std::string& address : pod.addresses())
    addresses += (addresses.empty() ? "" : ", ") + address_text(address);
  fmt::print("pod        {}\naddresses  {}\n", pod_text(pod.pod_namespace(), pod.pod_name()), addresses);
  if (pod.port_type() == api::PORT_TYPE_VHOST_USER) {
    fmt::print("port       {}\nsocket     {} ({})\nmac        {}\n", pod.host_interface(), pod.socket_path(),
               pod.vhost_user().pod_listens() ? "the pod listens" : "the switch listens", address_text(pod.mac()));
  } else {
    fmt::print("interface  {} (eth0 in the pod, {})\n", pod.host_interface(), address_text(pod.mac()));
  }
  fmt::print("netns      {}\n", pod.netns());
}

net::Result<int> pod_add(Context& context, const Words& words) {
  const SignalHold hold;
  auto spec = parse_pod(words.pod);
  if (!spec) return spec.error();
  auto config = context.config();
  if (!config) return config.error();
  auto network = words.conflist.empty() ? net::Result<CniNetwork>(CniNetwork::own(config->agent_socket()))
                                        : CniNetwork::load(words.conflist);
  if (!network) return network.error();
  const std::string netns = netns_name(config->runtime_dir, words.pod.name_space, words.pod.name);
  const std::string plugin_path =
      words.plugin_path.empty() ? program_directory() + ":/opt/cni/bin:/usr/lib/cni" : words.plugin_path;
  if (auto there = network->check_plugins(plugin_path); !there) return there.error();
  PodRecord record{.name_space = words.pod.name_space,
                   .name = words.pod.name,
                   .netns = netns,
                   .network = std::move(*network),
                   .args = cni_args(*spec, netns),
                   .plugin_path = plugin_path,
                   .result = nullptr};
  auto pod = PodMaker(*config, *spec, std::move(record), hold).make();
  if (!pod) return pod.error();
  if (context.json()) {
    fmt::print("{}", json_text(to_json(*pod)));
  } else {
    show(*pod);
  }
  return 0;
}

}  // namespace

void add_pod_add(CLI::App& pod, Context& context) {
  auto words = std::make_shared<Words>();
  CLI::App* command = add_command(pod, context, "add", "Make a network namespace and attach it by the CNI plugin",
                                  [words](Context& c) { return pod_add(c, *words); });
  const auto repeated = [command](const char* name, std::vector<std::string>& out, const char* text, const char* type) {
    command->add_option(name, out, text)->take_all()->allow_extra_args(false)->type_name(type);
  };
  command->add_option("NAME", words->pod.name, "Name of the pod")->required();
  command->add_option("-n,--namespace", words->pod.name_space, "Kubernetes namespace")
      ->type_name("NS")
      ->capture_default_str();
  repeated("-l,--label", words->pod.labels, "A label; may be repeated", "KEY=VALUE");
  repeated("-p,--port", words->pod.ports, "A container port; may be repeated", "[NAME:]PORT[/PROTOCOL]");
  repeated("--ip", words->pod.addresses, "The address it shall have; one a family", "ADDRESS");
  command->add_option("--mac", words->pod.mac, "The MAC address it shall have")->type_name("MAC");
  command
      ->add_option(
          "--type", words->pod.type,
          "What it is attached by: kernel or vhost-user; default: as its annotation millrace.io/port-type says")
      ->type_name("TYPE");
  command
      ->add_option("--vhost-listener", words->pod.vhost_listener,
                   "Who makes the vhost-user socket: switch (default) or pod")
      ->type_name("WHO");
  command->add_option("--vhost-queues", words->pod.vhost_queues, "Queue pairs it is served by, 1..64; default: 64")
      ->type_name("N");
  command
      ->add_option(
          "--conflist", words->conflist,
          "CNI configuration to run in place of millrace-cni alone: a file, or a directory like /etc/cni/net.d")
      ->type_name("PATH");
  command
      ->add_option("--cni-path", words->plugin_path,
                   "Directories of the plugins, colons between; default: this program's, /opt/cni/bin, /usr/lib/cni")
      ->type_name("DIRS");
  add_output_option(*command, context);
}

}  // namespace millrace::control::cli
