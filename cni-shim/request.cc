#include "cni-shim/request.h"

namespace millrace::cni_shim {
namespace {

constexpr std::size_t kMaxEchoedVersionBytes = 64;

/// VERSION answers whatever version it is asked with, and also when stdin is empty (libcni's skel does not read it).
net::Result<Request, Refusal> parse_version_request(Environment environment, std::string_view stdin_text) {
  Request request;
  request.environment = std::move(environment);
  request.cni_version = kNewestSpecVersion;
  if (stdin_text.find_first_not_of(" \t\r\n") == std::string_view::npos) return request;
  const auto json = parse_json(stdin_text, "stdin");
  if (!json) return Refusal{json.error(), std::string(kNewestSpecVersion)};
  const std::string* asked = find_string(*json, "cniVersion");
  if (asked != nullptr && asked->size() <= kMaxEchoedVersionBytes) request.cni_version = *asked;
  return request;
}

}  // namespace

net::Result<Request, Refusal> parse_request(const VariableLookup& lookup, std::string_view stdin_text) {
  std::string cni_version(kNewestSpecVersion);
  auto environment = parse_environment(lookup);
  if (!environment) return Refusal{environment.error(), cni_version};
  const Command command = environment->command;
  if (command == Command::kVersion) return parse_version_request(*std::move(environment), stdin_text);

  const auto json = parse_json(stdin_text, "stdin");
  if (!json) return Refusal{json.error(), cni_version};
  if (const std::string* asked = find_string(*json, "cniVersion")) {
    if (spec_version_of(*asked)) cni_version = *asked;
  }
  auto config = parse_network_config(*json, command);
  if (!config) return Refusal{config.error(), cni_version};

  Request request;
  if (command == Command::kAdd) {
    auto args = parse_cni_args(environment->args);
    if (!args) return Refusal{args.error(), cni_version};
    request.args = *std::move(args);
  }
  request.environment = *std::move(environment);
  request.cni_version = std::move(cni_version);
  request.config = *std::move(config);
  return request;
}

}  // namespace millrace::cni_shim
