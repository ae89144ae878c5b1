// millrace get
#include <chrono>

#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/message_json.h"
#include "control/cli/object_table.h"
#include "control/kube/manifest.h"

namespace millrace::control::cli {

namespace {

using Json = nlohmann::json;

struct Words {
  std::string kind;
  std::string name;
  std::string name_space = std::string(kube::kDefaultNamespace);
  bool all_namespaces = false;
};

/// One object as it is, several as a List, as kubectl prints them: what is printed can be applied.
Json document_of(std::vector<Json> objects, bool is_one) {
  if (is_one && objects.size() == 1) return std::move(objects[0]);
  return {{"apiVersion", "v1"}, {"kind", "List"}, {"items", std::move(objects)}, {"metadata", Json::object()}};
}

net::Result<int> print_table(Context& context, kube::Kind kind, const Words& words, const std::vector<Json>& objects) {
  const kube::KindNames& names = kube::names_of(kind);
  if (objects.empty()) {
    const bool here = names.has_namespace && !words.all_namespaces;
    fmt::print(stderr, "No resources found{}.\n", here ? fmt::format(" in {} namespace", words.name_space) : "");
    return 0;
  }
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  std::vector<ObjectRow> rows;
  for (const Json& object : objects) {
    auto row = object_row(object, static_cast<std::uint64_t>(now.count()));
    if (!row) return row.error();
    rows.push_back(*std::move(row));
  }
  fmt::print("{}", object_table(kind, rows, names.has_namespace && words.all_namespaces, context.output == "wide"));
  return 0;
}

net::Result<int> get(Context& context, const Words& words) {
  auto kind = kind_of_word(words.kind);
  if (!kind) return kind.error();
  if (words.all_namespaces && !words.name.empty()) {
    return net::invalid_argument("get: a name is looked for in one namespace; allowed: NAME with -n, or -A");
  }
  auto config = context.config();
  if (!config) return config.error();
  api::GetObjectsRequest request;
  request.set_kind(std::string(kube::names_of(*kind).name));
  request.set_name(words.name);
  if (kube::names_of(*kind).has_namespace && !words.all_namespaces) request.set_namespace_(words.name_space);
  auto reply = agent_client(*config).call(&api::Agent::Stub::GetObjects, request);
  if (!reply) return reply.error();
  std::vector<Json> objects;
  for (const std::string& text : reply->objects()) {
    objects.push_back(Json::parse(text, nullptr, false));
    if (objects.back().is_discarded()) return net::internal_error("millrace-agent: an object is not JSON");
  }
  if (context.output == "yaml") {
    fmt::print("{}", kube::to_yaml(document_of(std::move(objects), !words.name.empty())));
  } else if (context.json()) {
    fmt::print("{}", json_text(document_of(std::move(objects), !words.name.empty())));
  } else {
    return print_table(context, *kind, words, objects);
  }
  return 0;
}

}  // namespace

void add_get(CLI::App& app, Context& context) {
  auto words = std::make_shared<Words>();
  CLI::App* command =
      add_command(app, context, "get", "Show Kubernetes objects", [words](Context& c) { return get(c, *words); });
  command
      ->add_option(
          "KIND", words->kind,
          "services (svc), pods (po), networkpolicies (netpol), endpointslices, endpoints (ep), namespaces (ns), nodes "
          "(no)")
      ->required();
  command->add_option("NAME", words->name, "The one of this name");
  command->add_option("-n,--namespace", words->name_space, "Of this namespace")->type_name("NS")->capture_default_str();
  command->add_flag("-A,--all-namespaces", words->all_namespaces, "Of all namespaces");
  add_output_option(*command, context, {"yaml", "wide"});
}

}  // namespace millrace::control::cli
