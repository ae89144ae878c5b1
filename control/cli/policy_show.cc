// millrace policy show
#include <memory>

#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/message_json.h"
#include "control/cli/pod_words.h"
#include "control/cli/policy_text.h"

namespace millrace::control::cli {

namespace {

using Json = nlohmann::ordered_json;

net::Result<int> show_policy(Context& context, const std::string& word) {
  const auto config = context.config();
  if (!config) return config.error();
  const NamespacedName name = NamespacedName::parse(word);
  const auto pods = find_pod(*config, name);
  if (!pods) return pods.error();
  SwitchClient client = switch_client(*config);
  Json json = {{"pod", name.to_string()}, {"ports", Json::array()}};
  std::string text;
  for (const api::Pod& pod : *pods) {
    api::GetPolicyRequest request;
    request.set_port(pod.host_interface());
    const auto status = client.call(&api::Switch::Stub::GetPolicy, request);
    if (!status) return status.error();
    json["ports"].push_back(to_json(*status));
    text += policy_text(name.to_string(), *status);
  }
  fmt::print("{}", context.json() ? json_text(json) : text);
  return 0;
}

}  // namespace

void add_policy(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("policy", "What the policies in force mean");
  group->require_subcommand(1);
  auto pod = std::make_shared<std::string>();
  CLI::App* command = add_command(*group, context, "show",
                                  "Show what is in force for a pod in each direction, since when, and how many flows "
                                  "each rule let begin",
                                  [pod](Context& c) { return show_policy(c, *pod); });
  command->add_option("POD", *pod, "NAMESPACE/NAME")->required();
  add_output_option(*command, context);
}

}  // namespace millrace::control::cli
