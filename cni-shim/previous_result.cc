#include "cni-shim/previous_result.h"

#include "cni-shim/text.h"

namespace millrace::cni_shim {
namespace {

CniError invalid(std::string message) { return {CniCode::kInvalidConfig, std::move(message), ""}; }
CniError differs(std::string message) { return {CniCode::kDiffers, std::move(message), ""}; }

/// Index in prevResult.interfaces of the interface inside the sandbox with the name of this call.
CniResult<std::size_t> pod_interface_index(const Request& request) {
  const Environment& environment = request.environment;
  const Json* interfaces = find_member(request.config.prev_result, "interfaces");
  const std::size_t count = interfaces == nullptr ? 0 : interfaces->size();
  std::string other_sandbox;
  for (std::size_t index = 0; index < count; ++index) {
    const Json& entry = (*interfaces)[index];
    const std::string* name = find_string(entry, "name");
    const std::string* sandbox = find_string(entry, "sandbox");
    if (name == nullptr || *name != environment.ifname || sandbox == nullptr || sandbox->empty()) continue;
    if (*sandbox == environment.netns) return index;
    other_sandbox = *sandbox;
  }
  if (!other_sandbox.empty()) {
    return differs("prevResult has interface " + shown(environment.ifname) + " in " + shown(other_sandbox) +
                   ", but CNI_NETNS is " + shown(environment.netns));
  }
  return differs("prevResult has no interface " + shown(environment.ifname) + " with a sandbox");
}

}  // namespace

CniResult<std::vector<net::IpAddress>> addresses_to_check(const Request& request) {
  const Json& prev = request.config.prev_result;
  if (!prev.is_object()) return invalid("prevResult must be there for CHECK");
  const auto pod_index = pod_interface_index(request);
  if (!pod_index) return pod_index.error();

  std::vector<net::IpAddress> addresses;
  const Json* ips = find_member(prev, "ips");
  if (ips == nullptr) return addresses;
  for (const Json& entry : *ips) {
    if (const Json* index = find_member(entry, "interface")) {
      const auto* number = index->get_ptr<const Json::number_unsigned_t*>();
      if (number == nullptr) return invalid("prevResult.ips.interface must be an index of prevResult.interfaces");
      if (*number != *pod_index) continue;
    }
    const std::string* text = find_string(entry, "address");
    if (text == nullptr) return invalid("prevResult.ips must hold objects with the string address");
    const auto address = parse_requested_address(*text, "prevResult.ips", CniCode::kInvalidConfig);
    if (!address) return address.error();
    addresses.push_back(*address);
  }
  return addresses;
}

}  // namespace millrace::cni_shim
