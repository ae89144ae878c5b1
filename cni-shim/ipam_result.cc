#include "cni-shim/ipam_result.h"

#include <charconv>
#include <limits>
#include <utility>

#include "cni-shim/text.h"

namespace millrace::cni_shim {
namespace {

constexpr std::uint32_t kMainTable = 254;  // RT_TABLE_MAIN
constexpr std::uint32_t kGlobalScope = 0;  // RT_SCOPE_UNIVERSE

CniError failure(const std::string& plugin, const std::string& what) {
  return {CniCode::kIpamFailure, "IPAM plugin " + shown(plugin) + " " + what, ""};
}

/// ADDRESS/LENGTH with host bits: net::Prefix wants them zero, an interface's address has them.
std::optional<AssignedAddress> parse_interface_address(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = net::IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  const std::string_view length = text.substr(slash + 1);
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
  if (error != std::errc() || end != length.data() + length.size() || bits > address->bits()) return std::nullopt;
  return AssignedAddress{*address, static_cast<std::uint8_t>(bits), std::nullopt};
}

/// `entry` is one of "ips" (`address_key` "address") or an "ip4"/"ip6" (`address_key` "ip").
std::optional<CniError> append_address(const Json& entry, std::string_view address_key, const std::string& plugin,
                                       IpamResult& result) {
  const std::string* text = find_string(entry, address_key);
  if (text == nullptr) return failure(plugin, "gave an address entry without " + std::string(address_key));
  auto assigned = parse_interface_address(*text);
  if (!assigned) return failure(plugin, "gave " + shown(*text) + ", which is not ADDRESS/LENGTH");
  const std::string* gateway_text = find_string(entry, "gateway");
  if (gateway_text != nullptr && !gateway_text->empty()) {
    const auto gateway = net::IpAddress::parse(*gateway_text);
    if (!gateway || gateway->family != assigned->address.family) {
      return failure(plugin, "gave the gateway " + shown(*gateway_text) + " for " + shown(*text));
    }
    assigned->gateway = *gateway;
  }
  if (result.addresses.size() == kMaxDelegatedAddresses) {
    return failure(plugin, "gave more than " + std::to_string(kMaxDelegatedAddresses) + " addresses");
  }
  result.addresses.push_back(*assigned);
  return std::nullopt;
}

/// `number` is left as it is when there is none. Zero stands for none in every such key of a route.
std::optional<CniError> read_number(const Json& route, std::string_view key, const std::string& plugin,
                                    std::uint32_t& number) {
  const Json* member = find_member(route, key);
  if (member == nullptr) return std::nullopt;
  const auto* value = member->get_ptr<const Json::number_unsigned_t*>();
  if (value == nullptr || *value > std::numeric_limits<std::uint32_t>::max()) {
    return failure(plugin, "gave a route whose " + std::string(key) + " is no whole number of 0..4294967295");
  }
  number = static_cast<std::uint32_t>(*value);
  return std::nullopt;
}

std::optional<CniError> append_route(const Json& entry, const std::string& plugin, IpamResult& result) {
  const std::string* text = find_string(entry, "dst");
  if (text == nullptr) return failure(plugin, "gave a route without dst");
  const auto destination = net::Prefix::parse(*text);
  if (!destination) return failure(plugin, "gave the route dst " + shown(*text) + ": " + destination.error().message);
  PodRoute route;
  route.destination = *destination;
  const std::string* gateway_text = find_string(entry, "gw");
  if (gateway_text != nullptr && !gateway_text->empty()) {
    const auto gateway = net::IpAddress::parse(*gateway_text);
    if (!gateway || gateway->family != destination->address.family) {
      return failure(plugin, "gave the route gw " + shown(*gateway_text) + " for " + shown(*text));
    }
    route.gateway = *gateway;
  }
  std::uint32_t table = kMainTable;
  std::uint32_t scope = kGlobalScope;
  for (const auto& [key, number] : {std::pair<std::string_view, std::uint32_t*>{"mtu", &route.mtu},
                                    {"advmss", &route.advmss},
                                    {"priority", &route.priority},
                                    {"table", &table},
                                    {"scope", &scope}}) {
    if (auto error = read_number(entry, key, plugin, *number)) return error;
  }
  if (table != 0 && table != kMainTable) {
    return failure(plugin, "gave a route of table " + std::to_string(table) + "; allowed: 254, the main one");
  }
  if (scope != kGlobalScope) {
    return failure(plugin, "gave a route of scope " + std::to_string(scope) + "; allowed: 0, global");
  }
  if (result.routes.size() == kMaxDelegatedRoutes) {
    return failure(plugin, "gave more than " + std::to_string(kMaxDelegatedRoutes) + " routes");
  }
  result.routes.push_back(route);
  return std::nullopt;
}

/// The list "routes" of the result, or of an "ip4" or "ip6".
std::optional<CniError> append_routes(const Json& holder, const std::string& plugin, IpamResult& result) {
  const Json* routes = find_member(holder, "routes");
  if (routes == nullptr) return std::nullopt;
  if (!routes->is_array()) return failure(plugin, "gave routes that are no list");
  for (const Json& entry : *routes) {
    if (auto error = append_route(entry, plugin, result)) return error;
  }
  return std::nullopt;
}

}  // namespace

CniResult<IpamResult> parse_ipam_result(std::string_view text, const std::string& plugin) {
  const auto json = parse_json(text, "the result of IPAM plugin " + shown(plugin));
  if (!json) return CniError{CniCode::kIpamFailure, json.error().message, ""};
  IpamResult result;
  if (const Json* ips = find_member(*json, "ips")) {
    if (!ips->is_array()) return failure(plugin, "gave ips that are no list");
    for (const Json& entry : *ips) {
      if (auto error = append_address(entry, "address", plugin, result)) return *error;
    }
  }
  for (const std::string_view key : {"ip4", "ip6"}) {
    const Json* entry = find_member(*json, key);
    if (entry == nullptr) continue;
    if (auto error = append_address(*entry, "ip", plugin, result)) return *error;
    if (auto error = append_routes(*entry, plugin, result)) return *error;
  }
  if (auto error = append_routes(*json, plugin, result)) return *error;
  if (result.addresses.empty()) return failure(plugin, "gave no address");
  if (const Json* dns = find_member(*json, "dns")) {
    auto parsed = parse_dns(*dns, "dns of IPAM plugin " + shown(plugin));
    if (!parsed) return CniError{CniCode::kIpamFailure, parsed.error().message, ""};
    result.dns = *std::move(parsed);
  }
  return result;
}

CniError parse_ipam_error(std::string_view text, const std::string& plugin, int exit_status) {
  const auto json = parse_json(text, "the error");
  const Json* code = json ? find_member(*json, "code") : nullptr;
  const std::string* message = json ? find_string(*json, "msg") : nullptr;
  if (code == nullptr || !code->is_number_unsigned() || message == nullptr) {
    return failure(plugin, "ended with status " + std::to_string(exit_status) + " and no CNI error");
  }
  const auto number = code->get<std::uint64_t>();
  CniError error = failure(plugin, "says: " + *message);
  if (number >= 1 && number <= 0x7fffffff) error.code = static_cast<CniCode>(number);
  if (const std::string* details = find_string(*json, "details")) error.details = *details;
  return error;
}

}  // namespace millrace::cni_shim
