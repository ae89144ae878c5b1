/// PodRecord: what `pod del` must know of a pod that `pod add` made: the network as it was then, and its result.
///
/// Shape:   RUNTIME_DIR/pods/NETNS.json; written before the first plugin runs and again with the result. It lies where
///          the network namespaces lie, in memory: both are gone after a restart of the machine.
/// Errors:  a file that is missing or no record reads as nullopt; writing: kFailedPrecondition.
/// Thread:  plain values. Two commands for one pod at once meet at the network namespace, which only one can make.
/// Source:  CNI specification 1.1.0, section 3 "Cleanup": the runtime keeps the result for DEL (libcni's cache).
#pragma once

#include <nlohmann/json.hpp>

#include <optional>
#include <string>

#include "control/cli/cni_network.h"
#include "control/config/config.h"
#include "net/result.h"

namespace millrace::control::cli {

struct PodRecord {
  std::string name_space;
  std::string name;
  std::string netns;  // name of it, which is also the container id
  CniNetwork network;
  std::string args;         // CNI_ARGS
  std::string plugin_path;  // CNI_PATH
  nlohmann::json result;    // null: ADD was not seen to succeed

  CniAttachment attachment() const;
};

std::optional<PodRecord> read_pod_record(const config::Config& config, const std::string& netns);
net::Result<void> write_pod_record(const config::Config& config, const PodRecord& record);
void delete_pod_record(const config::Config& config, const std::string& netns);

}  // namespace millrace::control::cli
