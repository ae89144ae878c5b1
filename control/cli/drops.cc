// millrace drops
#include <memory>
#include <set>

#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/drop_text.h"
#include "control/cli/message_json.h"
#include "control/cli/packet_watch.h"
#include "control/cli/pod_words.h"

namespace millrace::control::cli {

namespace {

struct Options {
  std::string pod;
  bool watch = false;
};

/// Names of the pod's ports; none when no pod is named.
net::Result<std::set<std::string>> ports_of(const config::Config& config, const std::string& word) {
  std::set<std::string> ports;
  if (word.empty()) return ports;
  const auto pods = find_pod(config, NamespacedName::parse(word), "--pod");
  if (!pods) return pods.error();
  for (const api::Pod& pod : *pods) ports.insert(pod.host_interface());
  return ports;
}

net::Result<int> drops(Context& context, const Options& options) {
  const auto config = context.config();
  if (!config) return config.error();
  const auto ports = ports_of(*config, options.pod);
  if (!ports) return ports.error();
  if (options.watch) {
    api::WatchPacketsRequest request;
    request.set_drops(true);
    for (const std::string& port : *ports) request.add_drop_ports(port);
    return watch_packets(context, *config, request);
  }
  SwitchClient client = switch_client(*config);
  const auto list = client.call(&api::Switch::Stub::ListPorts, api::ListPortsRequest());
  if (!list) return list.error();
  const auto counters = client.call(&api::Switch::Stub::GetCounters, api::GetCountersRequest());
  if (!counters) return counters.error();
  const auto rows = drop_rows(*list, *counters, *ports);
  fmt::print("{}", context.json() ? json_text(drop_json(rows)) : drop_table(rows));
  return 0;
}

}  // namespace

void add_drops(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = add_command(app, context, "drops", "Count dropped packets by pod and reason, or show each",
                                  [options](Context& c) { return drops(c, *options); });
  command->add_flag("--watch", options->watch,
                    "Show each packet as it is dropped, with the policies that isolate the pod, until interrupted");
  command
      ->add_option("--pod", options->pod,
                   "Only those that came from this pod, or that its policies refused: NAMESPACE/NAME")
      ->type_name("POD");
  add_output_option(*command, context);
}

}  // namespace millrace::control::cli
