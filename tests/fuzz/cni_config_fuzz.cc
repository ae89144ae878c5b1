/// What a runtime hands to millrace-cni, as any bytes: environment and stdin through the production parser, and the
/// answer through the production renderer.
///
/// Shape:   lines NAME=VALUE up to an empty line are the environment; the rest is stdin. tests/fuzz/corpus/cni_config
///          holds what real callers send.
/// Must be: every refusal is one JSON object with a code, a message and a bounded length; so is every result.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "cni-shim/add_result.h"
#include "cni-shim/ipam_result.h"
#include "cni-shim/previous_result.h"
#include "cni-shim/request.h"

namespace {

using namespace millrace::cni_shim;  // NOLINT(google-build-using-namespace): the subject of the whole file

using Variables = std::map<std::string, std::string, std::less<>>;

constexpr std::size_t kMaxErrorBytes = 4096;

[[noreturn]] void fail(const char* what, std::string_view text) {
  std::fprintf(stderr, "%s: %.*s\n", what, static_cast<int>(text.size()), text.data());
  std::abort();
}

Variables take_environment(std::string_view& text) {
  Variables variables;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
    if (line.empty()) break;
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos) variables[std::string(line.substr(0, equals))] = line.substr(equals + 1);
  }
  return variables;
}

void check_error(const CniError& error, const std::string& cni_version) {
  const std::string text = render_error(error, cni_version);
  const auto json = parse_json(text, "the rendered error");
  if (!json || !json->is_object()) fail("an error is not JSON", text);
  const Json* code = find_member(*json, "code");
  const std::string* message = find_string(*json, "msg");
  if (code == nullptr || !code->is_number_unsigned() || *code == 0) fail("an error has no code", text);
  if (message == nullptr || message->empty()) fail("an error has no message", text);
  if (!spec_version_of(cni_version)) fail("an error has a version we do not speak", text);
  if (text.size() > kMaxErrorBytes) fail("an error echoes too much", text);
}

/// A pod as an agent answers it; what is around it comes from the input.
PodInterface pod_interface() {
  PodInterface pod;
  pod.host_interface = "mrhost0";
  pod.mtu = 1500;
  pod.addresses = {
      {*millrace::net::IpAddress::parse("10.244.0.5"), 32, *millrace::net::IpAddress::parse("169.254.1.1")}};
  pod.routes = {{.destination = *millrace::net::Prefix::parse("0.0.0.0/0"),
                 .gateway = *millrace::net::IpAddress::parse("169.254.1.1")}};
  return pod;
}

void check_result(const std::string& text) {
  const auto json = parse_json(text, "the rendered result");
  if (json) {
    if (find_string(*json, "cniVersion") == nullptr) fail("a result has no version", text);
  } else if (text.size() <= kMaxJsonBytes) {
    fail("a result is not JSON", text);
  }
}

void check_request(const Request& request) {
  switch (request.environment.command) {
    case Command::kVersion: return check_result(render_version_result(request.cni_version));
    case Command::kAdd: return check_result(render_add_result(request, pod_interface(), {}));
    case Command::kCheck: {
      const auto addresses = addresses_to_check(request);
      if (!addresses) check_error(addresses.error(), request.cni_version);
      return;
    }
    case Command::kDel:
    case Command::kGc:
    case Command::kStatus: return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const Variables variables = take_environment(text);
  const auto lookup = [&](std::string_view name) -> std::optional<std::string_view> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
  const auto request = parse_request(lookup, text);
  if (request) {
    check_request(*request);
  } else {
    check_error(request.error().error, request.error().cni_version);
  }
  const auto assigned = parse_ipam_result(text, "host-local");
  if (!assigned) check_error(assigned.error(), "1.0.0");
  return 0;
}
