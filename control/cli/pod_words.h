/// Pods as a person names them: NAMESPACE/NAME, or NAME of the namespace "default".
///
/// Errors:  kNotFound when there is no such pod on this node.
/// Thread:  one owner.
#pragma once

#include <string>
#include <vector>

#include "control/api/agent.pb.h"
#include "control/config/config.h"
#include "net/result.h"

namespace millrace::control::cli {

struct NamespacedName {
  std::string name_space;
  std::string name;

  static NamespacedName parse(const std::string& word);
  std::string to_string() const { return name_space + "/" + name; }
};

/// Its attachments that have an address: one for each network it is in.
/// `flag`: whose word it is, for the error; "": it has none.
net::Result<std::vector<api::Pod>> find_pod(const config::Config& config, const NamespacedName& pod,
                                            const std::string& flag = "");

}  // namespace millrace::control::cli
