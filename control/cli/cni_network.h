/// A CNI network: the list of plugins that make an attachment, run as libcni runs them.
///
/// Shape:   a conflist, or the configuration of a single plugin (a list of one). ADD runs the plugins in order, each
///          with the result of the one before as prevResult; DEL runs them in reverse, each with the result of the
///          whole ADD (from cniVersion 0.4.0). Of the capability arguments a plugin gets those it declares, as
///          runtimeConfig.
/// Errors:  kInvalidArgument with the file and the key; else the plugin's.
/// Thread:  plain values.
/// Source:  CNI specification 1.1.0, sections 1, 3 and "Deriving execution configuration"; libcni api.go, conf.go.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

#include "control/cli/cni_plugin.h"
#include "net/result.h"

namespace millrace::control::cli {

class CniNetwork {
 public:
  /// The list this instance needs and no more: millrace-cni at its agent.
  static CniNetwork own(const std::string& agent_socket);
  /// A file; or a directory, of which the lexically first *.conflist, *.conf or *.json counts, as for a runtime.
  static net::Result<CniNetwork> load(const std::string& path);
  static net::Result<CniNetwork> parse(const std::string& text, const std::string& file);

  const std::string& name() const { return name_; }
  /// As written into a pod's record; parse() reads it again.
  const nlohmann::json& list() const { return list_; }

  /// Error kNotFound for a plugin that lies in no directory of CNI_PATH: told before anything is made.
  net::Result<void> check_plugins(const std::string& plugin_path) const;
  /// The last plugin's result. On failure nothing is taken back: DEL does that.
  net::Result<nlohmann::json> add(const CniAttachment& attachment, const nlohmann::json& capability_arguments) const;
  /// Goes on past a plugin that fails and returns the first error.
  net::Result<void> remove(const CniAttachment& attachment, const nlohmann::json& capability_arguments,
                           const nlohmann::json& result) const;

 private:
  nlohmann::json plugin_config(const nlohmann::json& plugin, const nlohmann::json& capability_arguments,
                               const nlohmann::json& previous) const;
  std::string name_;
  std::string version_;
  nlohmann::json list_;
};

}  // namespace millrace::control::cli
