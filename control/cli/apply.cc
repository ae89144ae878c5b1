// millrace apply and millrace delete
#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/manifest_files.h"

namespace millrace::control::cli {

namespace {

struct Words {
  std::vector<std::string> files;
  std::string name_space;
  std::string kind;
  std::vector<std::string> names;
  bool dry_run = false;
  bool skip_unrelated = false;
  bool ignore_not_found = false;
};

std::string_view outcome_text(api::ObjectResult::Outcome outcome) {
  switch (outcome) {
    case api::ObjectResult::CREATED: return "created";
    case api::ObjectResult::CONFIGURED: return "configured";
    default: return "unchanged";
  }
}

/// "service/web created", as kubectl says it.
void tell(const api::ObjectName& object, std::string_view what, bool dry_run) {
  const kube::KindNames* kind = kube::find_kind(object.kind());
  fmt::print("{}/{} {}{}\n", kind == nullptr ? object.kind() : kind->result_name, object.name(), what,
             dry_run ? " (dry run)" : "");
}

net::Result<kube::Manifests> read(const Words& words) {
  auto manifests =
      read_manifests(words.files, {.name_space = words.name_space, .skip_unrelated = words.skip_unrelated});
  if (!manifests) return manifests;
  for (const std::string& sentence : manifests->skipped) fmt::print(stderr, "millrace: {}\n", sentence);
  return manifests;
}

net::Result<int> apply(Context& context, const Words& words) {
  auto manifests = read(words);
  if (!manifests) return manifests.error();
  auto config = context.config();
  if (!config) return config.error();
  api::ApplyObjectsRequest request;
  request.set_dry_run(words.dry_run);
  for (const kube::Manifest& manifest : manifests->objects) request.add_objects(manifest.json.dump());
  auto reply = agent_client(*config).call(&api::Agent::Stub::ApplyObjects, request);
  if (!reply) return reply.error();
  for (const api::ObjectResult& result : reply->results()) {
    tell(result.object(), outcome_text(result.outcome()), words.dry_run);
  }
  return 0;
}

void add_name(const kube::ObjectKey& key, api::DeleteObjectsRequest& request) {
  api::ObjectName& object = *request.add_objects();
  object.set_kind(std::string(kube::names_of(key.kind).name));
  object.set_namespace_(key.name_space);
  object.set_name(key.name);
}

net::Result<void> names_of_words(const Words& words, api::DeleteObjectsRequest& request) {
  if (!words.files.empty()) {
    auto manifests = read(words);
    if (!manifests) return manifests.error();
    for (const kube::Manifest& manifest : manifests->objects) add_name(kube::key_of(manifest.object), request);
    return {};
  }
  auto kind = kind_of_word(words.kind);
  if (!kind) return kind.error();
  const std::string name_space = words.name_space.empty() ? std::string(kube::kDefaultNamespace) : words.name_space;
  const bool has_namespace = kube::names_of(*kind).has_namespace;
  for (const std::string& name : words.names) add_name({*kind, has_namespace ? name_space : "", name}, request);
  return {};
}

/// Takes the objects that are not there out of the request.
net::Result<void> keep_those_there(AgentClient& agent, api::DeleteObjectsRequest& request) {
  api::DeleteObjectsRequest there;
  there.set_dry_run(request.dry_run());
  for (const api::ObjectName& object : request.objects()) {
    api::GetObjectsRequest question;
    question.set_kind(object.kind());
    question.set_namespace_(object.namespace_());
    question.set_name(object.name());
    auto reply = agent.call(&api::Agent::Stub::GetObjects, question);
    if (reply) *there.add_objects() = object;
    if (!reply && reply.error().code != net::ErrorCode::kNotFound) return reply.error();
  }
  request = std::move(there);
  return {};
}

net::Result<int> remove(Context& context, const Words& words) {
  if (words.files.empty() == words.kind.empty() || words.kind.empty() != words.names.empty()) {
    return net::invalid_argument("delete: say either KIND and NAME, or -f FILE");
  }
  api::DeleteObjectsRequest request;
  request.set_dry_run(words.dry_run);
  if (auto named = names_of_words(words, request); !named) return named.error();
  auto config = context.config();
  if (!config) return config.error();
  AgentClient agent = agent_client(*config);
  if (words.ignore_not_found) {
    if (auto kept = keep_those_there(agent, request); !kept) return kept.error();
  }
  auto reply = agent.call(&api::Agent::Stub::DeleteObjects, request);
  if (!reply) return reply.error();
  for (const api::ObjectName& object : request.objects()) tell(object, "deleted", words.dry_run);
  return 0;
}

void add_common_options(CLI::App& command, Words& words) {
  command.add_option("-n,--namespace", words.name_space, "Namespace of objects that name none")->type_name("NS");
  command.add_flag("--dry-run", words.dry_run, "Check and say what would be done, and do nothing");
  command.add_flag("--skip-unrelated", words.skip_unrelated,
                   "Skip Deployments, ConfigMaps and other kinds that are not the network's, saying so");
}

}  // namespace

net::Result<kube::Kind> kind_of_word(const std::string& word) {
  if (const kube::KindNames* kind = kube::find_kind_word(word); kind != nullptr) return kind->kind;
  std::string all;
  for (const kube::Kind kind : kube::kKinds) {
    const kube::KindNames& names = kube::names_of(kind);
    all += fmt::format("{}{}", all.empty() ? "" : ", ", names.plural);
    if (!names.short_name.empty()) all += fmt::format(" ({})", names.short_name);
  }
  return net::invalid_argument(fmt::format("\"{}\": no such kind; allowed: {}", word, all));
}

void add_apply(CLI::App& app, Context& context) {
  auto words = std::make_shared<Words>();
  CLI::App* command = add_command(app, context, "apply", "Create or change Kubernetes objects from manifests",
                                  [words](Context& c) { return apply(c, *words); });
  command
      ->add_option("-f,--filename", words->files,
                   "A manifest in YAML or JSON, a directory of them, or -; may be repeated")
      ->required()
      ->take_all()
      ->allow_extra_args(false)
      ->type_name("FILE|DIR|-");
  add_common_options(*command, *words);
}

void add_delete(CLI::App& app, Context& context) {
  auto words = std::make_shared<Words>();
  CLI::App* command =
      add_command(app, context, "delete", "Delete Kubernetes objects, by name or by the manifests that made them",
                  [words](Context& c) { return remove(c, *words); });
  command->add_option("KIND", words->kind, "What it is: service (svc), pod (po), namespace (ns), ...");
  command->add_option("NAME", words->names, "Names of the objects");
  command->add_option("-f,--filename", words->files, "Manifests that name the objects, as for apply")
      ->take_all()
      ->allow_extra_args(false)
      ->type_name("FILE|DIR|-");
  command->add_flag("--ignore-not-found", words->ignore_not_found, "What is not there is no error");
  add_common_options(*command, *words);
}

}  // namespace millrace::control::cli
