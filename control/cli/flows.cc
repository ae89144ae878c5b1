// millrace flows, millrace flows flush
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

/// Which flows: those of a pod, of an address, or all.
struct FlowFilter {
  std::string pod;
  std::string address;
};

struct FlowOptions {
  FlowFilter filter;
  std::uint64_t limit = 0;
  bool watch = false;
};

/// Narrows a request down to the addresses of the filter.
template <typename Request>
net::Result<void> narrow(const config::Config& config, const FlowFilter& filter, Request& request) {
  if (!filter.pod.empty() && !filter.address.empty()) {
    return net::invalid_argument("--address: --pod is given as well; allowed: one of the two");
  }
  if (!filter.pod.empty()) {
    const auto pods = find_pod(config, NamespacedName::parse(filter.pod), "--pod");
    if (!pods) return pods.error();
    for (const api::Pod& pod : *pods) {
      for (const std::string& address : pod.addresses()) request.add_addresses(address);
    }
  }
  if (!filter.address.empty()) {
    const auto address = net::IpAddress::parse(filter.address);
    if (!address) return net::invalid_argument(fmt::format("--address: {}", address.error().message));
    request.add_addresses(address->raw().data(), address->raw().size());
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
  if (auto narrowed = narrow(*config, options.filter, request); !narrowed) return narrowed.error();
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

/// What stands before "flush" is of the listing; its filter is good for both.
net::Result<int> flush_flows(Context& context, const FlowOptions& options) {
  if (options.watch || options.limit != 0) {
    return net::invalid_argument(fmt::format("{}: flush has no such option", options.watch ? "--watch" : "--limit"));
  }
  const auto config = context.config();
  if (!config) return config.error();
  api::FlushFlowsRequest request;
  if (auto narrowed = narrow(*config, options.filter, request); !narrowed) return narrowed.error();
  SwitchClient client = switch_client(*config);
  const auto reply = client.call(&api::Switch::Stub::FlushFlows, request, kStreamTimeout);
  if (!reply) return reply.error();
  if (context.json()) {
    fmt::print("{}", json_text({{"ended", reply->ended()}}));
  } else {
    fmt::print("{} {} ended\n", reply->ended(), reply->ended() == 1 ? "flow" : "flows");
  }
  return 0;
}

void add_filter_options(CLI::App& command, FlowFilter& filter) {
  CLI::Option* pod =
      command.add_option("--pod", filter.pod, "Only those of this pod: NAMESPACE/NAME")->type_name("POD");
  command.add_option("--address", filter.address, "Only those with this address as an end, translated or not")
      ->type_name("ADDRESS")
      ->excludes(pod);
}

void add_flush(CLI::App& flows, Context& context, const std::shared_ptr<FlowOptions>& options) {
  CLI::App* command =
      add_command(flows, context, "flush", "End the connections that the switch follows, and say how many there were",
                  [options](Context& c) { return flush_flows(c, *options); });
  add_filter_options(*command, options->filter);
  add_output_option(*command, context);
}

}  // namespace

void add_flows(CLI::App& app, Context& context) {
  auto options = std::make_shared<FlowOptions>();
  CLI::App* command =
      add_command(app, context, "flows", "List the connections that the switch follows, with what it translates",
                  [options](Context& c) { return show_flows(c, *options); });
  add_filter_options(*command, options->filter);
  command->add_option("--limit", options->limit, "At most so many; 0: all")->capture_default_str();
  command->add_flag("--watch", options->watch,
                    "Look each second and print those that are new, changed or ended, until interrupted");
  add_output_option(*command, context, {"wide"});
  add_flush(*command, context, options);
}

}  // namespace millrace::control::cli
