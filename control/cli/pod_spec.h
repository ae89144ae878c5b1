/// PodSpec: what `millrace pod add` is told, checked before anything is made.
///
/// Errors:  kInvalidArgument "OPTION: \"VALUE\": what is wrong; allowed: ...".
/// Thread:  pure functions.
/// Source:  control/names/syntax.h for names and labels; Kubernetes' validation of container ports.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/api/agent.pb.h"
#include "net/result.h"

namespace millrace::control::cli {

/// Words of the command line, as given.
struct PodWords {
  std::string name;
  std::string name_space = "default";
  std::vector<std::string> labels = {};     // k=v
  std::vector<std::string> ports = {};      // name:80/tcp, 80/tcp, 80
  std::vector<std::string> addresses = {};  // wanted, at most one a family
  std::string mac = {};                     // wanted
  std::string type = {};                    // kernel, vhost-user; "": as the pod's annotations say
  std::string vhost_listener = {};          // switch, pod
  std::string vhost_queues = {};
};

struct PodSpec {
  api::PodObject object;
  std::vector<std::string> addresses;  // canonical text
  std::string mac;                     // canonical text or ""
  std::string port_args;               // of CNI_ARGS: "MILLRACE_PORT_TYPE=vhost-user;..." or ""
};

net::Result<void> check_pod_name(const std::string& name);
net::Result<void> check_pod_namespace(const std::string& name_space);
net::Result<PodSpec> parse_pod(const PodWords& words);

/// "default/web"
std::string pod_text(const std::string& name_space, const std::string& name);

}  // namespace millrace::control::cli
