// millrace flows
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/flow_text.h"
#include "control/cli/message_json.h"
#include "control/cli/pod_words.h"

namespace millrace::control::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::chrono::seconds kWatchInterval{1};

struct FlowOptions {
  std::string pod;
  std::uint64_t limit = 0;
  bool watch = false;
};

/// Narrows the request down to a pod's addresses.
net::Result<void> narrow_to_pod(const config::Config& config, const std::string& word, api::ListFlowsRequest& request) {
  const auto pods = find_pod(config, NamespacedName::parse(word));
  if (!pods) return pods.error();
  for (const api::Pod& pod : *pods) {
    for (const std::string& address : pod.addresses()) request.add_addresses(address);
  }
  return {};
}

net::Result<std::vector<api::Flow>> list(SwitchClient& client, const api::ListFlowsRequest& request) {
  std::vector<api::Flow> flows;
  const auto listed = client.stream<api::ListFlowsRequest, api::FlowBatch>(
      &api::Switch::Stub::ListFlows, request, [&](const api::FlowBatch& batch) {
        flows.insert(flows.end(), batch.flows().begin(), batch.flows().end());
        return true;
      });
  if (!listed) return listed.error();
  return flows;
}

/// A JSON object a line, so that a reader has whole ones: {"event": "new", "flow": {...}}.
std::string change_json(const FlowChange& change) {
  return Json{{"event", change.event}, {"flow", to_json(change.flow)}}.dump(-1, ' ', false,
                                                                            Json::error_handler_t::replace) +
         "\n";
}

/// Until it is interrupted, or nobody reads any more.
net::Result<int> watch(Context& context, SwitchClient& client, const api::ListFlowsRequest& request) {
  FlowMap before;
  for (auto next = std::chrono::steady_clock::now();; next += kWatchInterval) {
    std::this_thread::sleep_until(next);
    auto flows = list(client, request);
    if (!flows) return flows.error();
    FlowMap after = by_key(std::move(flows).value());
    for (const FlowChange& change : changes(before, after)) {
      fmt::print("{}", context.json() ? change_json(change) : change_line(change));
    }
    if (std::fflush(stdout) != 0) return 1;
    before = std::move(after);
  }
}

net::Result<int> show_flows(Context& context, const FlowOptions& options) {
  const auto config = context.config();
  if (!config) return config.error();
  api::ListFlowsRequest request;
  request.set_limit(options.limit);
  if (!options.pod.empty()) {
    if (auto narrowed = narrow_to_pod(*config, options.pod, request); !narrowed) return narrowed.error();
  }
  SwitchClient client = switch_client(*config);
  if (options.watch) return watch(context, client, request);
  const auto flows = list(client, request);
  if (!flows) return flows.error();
  if (context.json()) {
    Json json = {{"flows", Json::array()}};
    for (const api::Flow& flow : *flows) json["flows"].push_back(to_json(flow));
    fmt::print("{}", json_text(json));
  } else {
    fmt::print("{}", flow_table(*flows, context.output == "wide"));
  }
  return 0;
}

}  // namespace

void add_flows(CLI::App& app, Context& context) {
  auto options = std::make_shared<FlowOptions>();
  CLI::App* command =
      add_command(app, context, "flows", "List the connections that the switch follows, with what it translates",
                  [options](Context& c) { return show_flows(c, *options); });
  command->add_option("--pod", options->pod, "Only those of this pod: NAMESPACE/NAME")->type_name("POD");
  command->add_option("--limit", options->limit, "At most so many; 0: all")->capture_default_str();
  command->add_flag("--watch", options->watch,
                    "Look each second and print those that are new, changed or ended, until interrupted");
  add_output_option(*command, context, {"wide"});
}

}  // namespace millrace::control::cli
