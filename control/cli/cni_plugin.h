/// One run of one CNI plugin.
///
/// Shape:   stdin and stdout are JSON; the plugin gets the environment variables of the specification, PATH, and
///          nothing else. It has kPluginTimeout; then it is killed.
/// Errors:  kNotFound when it lies in no directory of the path; else kFailedPrecondition "TYPE COMMAND: what it said
///          (CNI error CODE)"; kUnavailable for CNI error 11, try again later.
/// Thread:  any.
/// Source:  CNI specification 1.1.0, sections 2 and 5.
#pragma once

#include <nlohmann/json.hpp>

#include <chrono>
#include <string>

#include "net/result.h"

namespace millrace::control::cli {

inline constexpr std::chrono::seconds kPluginTimeout{60};

/// What the environment says of an attachment.
struct CniAttachment {
  std::string container_id;
  std::string netns;  // path; may be empty for DEL
  std::string ifname = "eth0";
  std::string args;  // CNI_ARGS
  std::string path;  // CNI_PATH: directories with plugins, colons between
};

/// Where the program of that type lies in a CNI_PATH.
net::Result<std::string> find_plugin(const std::string& type, const std::string& path);

/// The plugin's answer, null when it printed nothing.
net::Result<nlohmann::json> run_plugin(const std::string& command, const CniAttachment& attachment,
                                       const nlohmann::json& config);

}  // namespace millrace::control::cli
