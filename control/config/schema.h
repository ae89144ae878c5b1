/// The one list of configuration keys: what the parser checks and what every text about the configuration says.
///
/// Shape:   a key's path is its place in the file with dots between ("ipam.ipv4.pool"). `fallback` is YAML: a key that
///          is not in the file is read from it, so a default passes the same checks as a value from a file.
/// Errors:  `read` returns what is wrong with a value ("" when nothing is); the parser adds file, line and key.
/// Thread:  made once, then constant: any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "control/config/config.h"

namespace millrace::control::config {

struct Key {
  std::string_view path;
  std::string_view type;      // for a person: "integer", "text", ...
  std::string_view fallback;  // YAML of the default; "" is no value (see `fallback_text`)
  std::string allowed;        // the limits, for messages and documentation
  std::string_view text;      // what it does, one or more sentences
  std::function<std::string(const YAML::Node&, Config&)> read;

  /// The default for documentation.
  std::string fallback_text() const;
};

/// In the order of the documentation; keys of a section stand together.
const std::vector<Key>& schema();
/// Those of the section `flows`.
std::vector<Key> flow_keys();
/// `store`, `etcd`, `encapsulation`, `vxlan`.
std::vector<Key> cluster_keys();

/// The host name as a node name: lower case, other characters than RFC 1123 allows replaced by '-'.
std::string default_node_name();

}  // namespace millrace::control::config
