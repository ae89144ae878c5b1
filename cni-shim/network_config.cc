#include "cni-shim/network_config.h"

#include "cni-shim/cni_args.h"
#include "cni-shim/text.h"

namespace millrace::cni_shim {
namespace {

using MaybeError = std::optional<CniError>;

CniError invalid(std::string message) { return {CniCode::kInvalidConfig, std::move(message), ""}; }

/// Sets `object` to the member, or to nullptr when there is none.
MaybeError read_object(const Json& parent, std::string_view key, std::string_view field, const Json*& object) {
  object = find_member(parent, key);
  if (object == nullptr || object->is_object()) return std::nullopt;
  return invalid(std::string(field) + " must be an object");
}

MaybeError read_name(const Json& json, NetworkConfig& config) {
  const std::string* name = find_string(json, "name");
  if (name == nullptr) return invalid("name is missing or no string");
  if (!is_cni_name(*name)) {
    return invalid("name " + shown(*name) +
                   " must begin with a letter or digit, go on with letters, digits, '_', '.', '-', and have at most " +
                   std::to_string(kMaxNameBytes) + " characters");
  }
  config.name = *name;
  return std::nullopt;
}

/// Sets `path` to the member `key` of `parent` when it is there.
MaybeError read_socket(const Json& parent, std::string_view key, std::string_view field, std::string& path) {
  const Json* member = find_member(parent, key);
  if (member == nullptr) return std::nullopt;
  const auto* text = member->get_ptr<const std::string*>();
  if (text == nullptr || text->empty() || text->front() != '/' || text->size() > kMaxSocketPathBytes ||
      text->find('\0') != std::string::npos) {
    return invalid(std::string(field) + " must be an absolute path of at most " + std::to_string(kMaxSocketPathBytes) +
                   " bytes");
  }
  path = *text;
  return std::nullopt;
}

MaybeError read_agent_socket(const Json& json, NetworkConfig& config) {
  return read_socket(json, "agentSocket", "agentSocket", config.agent_socket);
}

/// ipam.type becomes a file name under CNI_PATH, so nothing in it may lead out of those directories.
MaybeError read_ipam(const Json& json, NetworkConfig& config) {
  const Json* ipam = nullptr;
  if (auto error = read_object(json, "ipam", "ipam", ipam)) return error;
  if (ipam == nullptr) return std::nullopt;
  const Json* member = find_member(*ipam, "type");
  if (member == nullptr) return std::nullopt;
  const auto* type = member->get_ptr<const std::string*>();
  if (type == nullptr) return invalid("ipam.type must be a string");
  if (type->empty() || *type == "millrace" || *type == "millrace-cni") return std::nullopt;
  if (!is_cni_name(*type)) {
    return invalid("ipam.type " + shown(*type) +
                   " must be the file name of a plugin: letters, digits, '_', '.', '-', the first a letter or digit");
  }
  config.ipam_plugin = *type;
  if (*type != kDhcpPlugin) return std::nullopt;
  return read_socket(*ipam, "daemonSocketPath", "ipam.daemonSocketPath", config.dhcp_socket);
}

MaybeError read_mtu(const Json& json, NetworkConfig& config) {
  const Json* member = find_member(json, "mtu");
  if (member == nullptr) return std::nullopt;
  const auto* mtu = member->get_ptr<const Json::number_unsigned_t*>();
  if (mtu == nullptr || *mtu > kMaxMtuBytes) {
    return invalid("mtu must be a whole number of bytes, 0.." + std::to_string(kMaxMtuBytes));
  }
  config.mtu = static_cast<std::uint32_t>(*mtu);
  return std::nullopt;
}

/// "ips" and "mac" of runtimeConfig or of args.cni; what is given replaces what was read before.
MaybeError read_wishes(const Json& object, const std::string& field, NetworkConfig& config) {
  if (const Json* ips = find_member(object, "ips")) {
    if (!ips->is_array() || ips->size() > kMaxRequestedAddresses) {
      return invalid(field + ".ips must be a list of at most " + std::to_string(kMaxRequestedAddresses) + " addresses");
    }
    if (!ips->empty()) config.addresses.clear();
    for (const Json& entry : *ips) {
      const auto* text = entry.get_ptr<const std::string*>();
      if (text == nullptr) return invalid(field + ".ips must be a list of strings");
      const auto address = parse_requested_address(*text, field + ".ips", CniCode::kInvalidConfig);
      if (!address) return address.error();
      config.addresses.push_back(*address);
    }
  }
  if (const Json* member = find_member(object, "mac")) {
    const auto* text = member->get_ptr<const std::string*>();
    if (text == nullptr) return invalid(field + ".mac must be a string");
    if (text->empty()) return std::nullopt;
    const auto mac = net::Mac::parse(*text);
    if (!mac) return invalid(field + ".mac is " + shown(*text) + "; allowed: aa:bb:cc:dd:ee:ff");
    config.mac = *mac;
  }
  return std::nullopt;
}

/// Of all the pod's annotations, those of port_wish.h.
MaybeError read_annotations(const Json& runtime, NetworkConfig& config) {
  const Json* annotations = nullptr;
  const std::string field = "runtimeConfig." + std::string(kPodAnnotationsKey);
  const Json* member = find_member(runtime, kPodAnnotationsKey);
  if (member == nullptr || member->is_null()) return std::nullopt;  // null: what Go writes for none
  if (auto error = read_object(runtime, kPodAnnotationsKey, field, annotations)) return error;
  for (const auto& [name, value] : annotations->items()) {
    const auto wish = port_wish_of_annotation(name);
    if (!wish) continue;
    const auto* text = value.get_ptr<const std::string*>();
    if (text == nullptr) return invalid(field + "." + name + " must be a string");
    if (auto error = set_port_wish(*wish, name, *text, CniCode::kInvalidConfig, config.port)) return error;
  }
  return std::nullopt;
}

MaybeError read_runtime(const Json& json, NetworkConfig& config) {
  const Json* args = nullptr;
  const Json* cni = nullptr;
  const Json* runtime = nullptr;
  if (auto error = read_object(json, "args", "args", args)) return error;
  if (args != nullptr) {
    if (auto error = read_object(*args, "cni", "args.cni", cni)) return error;
  }
  if (cni != nullptr) {
    if (auto error = read_wishes(*cni, "args.cni", config)) return error;
  }
  if (auto error = read_object(json, "runtimeConfig", "runtimeConfig", runtime)) return error;
  if (runtime == nullptr) return std::nullopt;
  if (auto error = read_wishes(*runtime, "runtimeConfig", config)) return error;
  if (auto error = read_annotations(*runtime, config)) return error;
  if (const Json* dns = find_member(*runtime, "dns")) {
    auto merged = apply_runtime_dns(std::move(config.dns), *dns);
    if (!merged) return merged.error();
    config.dns = *std::move(merged);
  }
  return std::nullopt;
}

MaybeError read_dns(const Json& json, NetworkConfig& config) {
  const Json* member = find_member(json, "dns");
  if (member == nullptr) return std::nullopt;
  auto dns = parse_dns(*member, "dns");
  if (!dns) return dns.error();
  config.dns = *std::move(dns);
  return std::nullopt;
}

MaybeError read_prev_result(const Json& json, NetworkConfig& config) {
  const Json* prev = nullptr;
  if (auto error = read_object(json, "prevResult", "prevResult", prev)) return error;
  if (prev == nullptr) return std::nullopt;
  for (const std::string_view key : {"interfaces", "ips", "routes"}) {
    const Json* list = find_member(*prev, key);
    if (list != nullptr && !list->is_array()) return invalid("prevResult." + std::string(key) + " must be a list");
  }
  config.prev_result = *prev;
  return std::nullopt;
}

/// libcni 1.2 writes the list under a second, misspelt key too. A list that is missing is an error, for without it
/// every pod of the network would be removed; null is what Go writes for an empty list.
MaybeError read_valid_attachments(const Json& json, NetworkConfig& config) {
  constexpr std::string_view kKey = "cni.dev/valid-attachments";
  auto list = json.find(kKey);
  if (list == json.end()) list = json.find("cni.dev/attachments");
  if (list == json.end()) return invalid(std::string(kKey) + " must be there for GC");
  if (list->is_null()) return std::nullopt;
  if (!list->is_array() || list->size() > kMaxValidAttachments) {
    return invalid(std::string(kKey) + " must be a list of at most " + std::to_string(kMaxValidAttachments));
  }
  for (const Json& entry : *list) {
    const std::string* container_id = find_string(entry, "containerID");
    const std::string* ifname = find_string(entry, "ifname");
    if (container_id == nullptr || ifname == nullptr) {
      return invalid(std::string(kKey) + " must hold objects with the strings containerID and ifname");
    }
    config.valid_attachments.push_back({*container_id, *ifname});
  }
  return std::nullopt;
}

}  // namespace

CniResult<SpecVersion> parse_spec_version(const Json& config, Command command) {
  const std::string* text = find_string(config, "cniVersion");
  if (text == nullptr) {
    return CniError{CniCode::kIncompatibleVersion, "cniVersion is missing; supported: 0.3.1 0.4.0 1.0.0 1.1.0", ""};
  }
  const auto version = spec_version_of(*text);
  if (!version) {
    return CniError{CniCode::kIncompatibleVersion,
                    "cniVersion " + shown(*text) + " is not supported; supported: 0.3.1 0.4.0 1.0.0 1.1.0", ""};
  }
  const bool gc_or_status = command == Command::kGc || command == Command::kStatus;
  if ((command == Command::kCheck && !has_check(*version)) || (gc_or_status && !has_gc_and_status(*version))) {
    return CniError{CniCode::kIncompatibleVersion,
                    std::string(text_of(command)) + " needs cniVersion " + (gc_or_status ? "1.1.0" : "0.4.0 or newer") +
                        "; the configuration has " + *text,
                    ""};
  }
  return *version;
}

CniResult<NetworkConfig> parse_network_config(const Json& json, Command command) {
  if (!json.is_object()) return invalid("stdin must be a JSON object");
  const auto version = parse_spec_version(json, command);
  if (!version) return version.error();
  NetworkConfig config;
  config.version = *version;

  using Reader = MaybeError (*)(const Json&, NetworkConfig&);
  std::vector<Reader> readers = {read_name, read_agent_socket, read_ipam};
  if (command == Command::kAdd) readers.insert(readers.end(), {read_mtu, read_dns, read_runtime, read_prev_result});
  if (command == Command::kCheck) readers.push_back(read_prev_result);
  if (command == Command::kGc) readers.push_back(read_valid_attachments);
  for (const Reader read : readers) {
    if (auto error = read(json, config)) return *error;
  }
  return config;
}

}  // namespace millrace::cni_shim
