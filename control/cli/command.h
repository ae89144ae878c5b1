/// What every subcommand stands on: the configuration, the form of the output, and what is done after the words are
/// read.
///
/// Shape:   add_NAME(app, context) adds a subcommand; its callback only sets context.action, so a mistake in the words
///          is told before anything happens. An action returns the exit status.
/// Errors:  an action's error is printed as "millrace: SENTENCE" and the status is 1; mistakes in the words: 2.
/// Thread:  the main thread.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/config/config.h"
#include "control/kube/object.h"
#include "net/result.h"

namespace millrace::control::cli {

struct Context {
  std::string config_file;       // --config, else MILLRACE_CONFIG; "": the default
  std::string output = "table";  // -o
  std::function<net::Result<int>()> action;

  net::Result<config::Config> config() const { return config::load(config_file); }
  bool json() const { return output == "json"; }
};

/// A subcommand whose action is `action(context)`.
CLI::App* add_command(CLI::App& parent, Context& context, const std::string& name, const std::string& text,
                      std::function<net::Result<int>(Context&)> action);
/// -o table|json and the further forms.
void add_output_option(CLI::App& command, Context& context, const std::vector<std::string>& more = {});

void add_up(CLI::App& app, Context& context);
void add_down(CLI::App& app, Context& context);
void add_status(CLI::App& app, Context& context);
void add_pod(CLI::App& app, Context& context);
void add_pod_add(CLI::App& pod, Context& context);
void add_pod_del(CLI::App& pod, Context& context);
void add_pod_list(CLI::App& pod, Context& context);
void add_pod_exec(CLI::App& pod, Context& context);
void add_port(CLI::App& app, Context& context);
void add_node(CLI::App& app, Context& context);
void add_route(CLI::App& app, Context& context);
void add_tunnel(CLI::App& app, Context& context);
void add_ipam(CLI::App& app, Context& context);
void add_apply(CLI::App& app, Context& context);
void add_get(CLI::App& app, Context& context);
void add_delete(CLI::App& app, Context& context);
void add_trace(CLI::App& app, Context& context);
void add_drops(CLI::App& app, Context& context);
void add_policy(CLI::App& app, Context& context);
void add_counters(CLI::App& app, Context& context);
void add_flows(CLI::App& app, Context& context);
void add_topology(CLI::App& app, Context& context);
void add_config(CLI::App& app, Context& context);
void add_version(CLI::App& app, Context& context);

/// "svc", "service", "services": the kind that a person means.
net::Result<kube::Kind> kind_of_word(const std::string& word);

/// The whole command line.
std::unique_ptr<CLI::App> make_app(Context& context);
/// The program: reads the words, does the action, returns the exit status.
int run(int argc, const char* const* argv);

}  // namespace millrace::control::cli
