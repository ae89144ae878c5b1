// millrace trace
#include <memory>

#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/message_json.h"
#include "control/cli/packet_watch.h"
#include "control/cli/pod_words.h"
#include "control/cli/trace_ends.h"
#include "control/cli/trace_text.h"

namespace millrace::control::cli {

namespace {

struct Options {
  TraceWords words;
  std::string live;
};

net::Result<int> trace_live(Context& context, const config::Config& config, const std::string& word) {
  const auto pods = find_pod(config, NamespacedName::parse(word), "--live");
  if (!pods) return pods.error();
  api::WatchPacketsRequest request;
  for (const api::Pod& pod : *pods) request.add_trace_ports(pod.host_interface());
  return watch_packets(context, config, request);
}

net::Result<int> trace(Context& context, const Options& options) {
  const auto config = context.config();
  if (!config) return config.error();
  if (!options.live.empty()) return trace_live(context, *config, options.live);
  if (options.words.from.empty() || options.words.to.empty()) {
    return net::invalid_argument(fmt::format("--{}: missing; allowed: --from and --to, or --live alone",
                                             options.words.from.empty() ? "from" : "to"));
  }
  const auto asked = resolve(*config, options.words);
  if (!asked) return asked.error();
  const auto told = switch_client(*config).call(&api::Switch::Stub::Trace, *asked);
  if (!told) return told.error();
  fmt::print("{}", context.json() ? json_text(to_json(*told)) : trace_text(*asked, *told));
  return is_allowed(*told) ? 0 : 1;
}

}  // namespace

void add_trace(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      app, context, "trace",
      "Say what would become of a packet, without sending one, and who decides it; or show real packets of a pod. The "
      "exit status is 0 when the packet would pass, 1 when it would be dropped",
      [options](Context& c) { return trace(c, *options); });
  TraceWords& words = options->words;
  CLI::Option* from = command->add_option("--from", words.from, "Who sends: NAMESPACE/POD of this node, or an address");
  from->type_name("END");
  CLI::Option* to = command->add_option(
      "--to", words.to,
      "Where to: an address, NAMESPACE/POD or NAMESPACE/SERVICE. A pod wins over a service of its name, but for "
      "service/NAMESPACE/NAME");
  to->type_name("END");
  CLI::Option* port = command->add_option("--port", words.port,
                                          "PORT/tcp, PORT/udp, PORT/sctp or icmp; a service with one port needs none");
  port->type_name("PORT");
  CLI::Option* source_port =
      command
          ->add_option("--source-port", words.source_port, "Of the source, or the identifier of an ICMP echo; 0: any")
          ->check(CLI::Range(0, 65535))
          ->capture_default_str();
  command
      ->add_option("--live", options->live,
                   "Show the packets that come from this pod or go to it, as they pass, until interrupted: "
                   "NAMESPACE/POD")
      ->type_name("POD")
      ->excludes(from)
      ->excludes(to)
      ->excludes(port)
      ->excludes(source_port);
  add_output_option(*command, context);
}

}  // namespace millrace::control::cli
