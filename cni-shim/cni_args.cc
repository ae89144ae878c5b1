#include "cni-shim/cni_args.h"

#include <array>
#include <charconv>

#include "cni-shim/text.h"

namespace millrace::cni_shim {
namespace {

CniError invalid(std::string message) { return {CniCode::kInvalidEnvironment, std::move(message), ""}; }

CniResult<bool> parse_bool(std::string_view text) {
  if (text == "1" || equal_without_case(text, "true")) return true;
  if (text == "0" || equal_without_case(text, "false")) return false;
  return invalid("CNI_ARGS IgnoreUnknown is " + shown(text) + "; allowed: 1 true 0 false");
}

std::optional<CniError> set_pod_field(std::string_view key, std::string_view value, std::string& field) {
  if (value.size() > kMaxPodFieldBytes || !is_plain_utf8(value)) {
    return invalid("CNI_ARGS " + std::string(key) + " is " + shown(value) + "; allowed: at most " +
                   std::to_string(kMaxPodFieldBytes) + " bytes of UTF-8 without control characters");
  }
  field = value;
  return std::nullopt;
}

std::optional<CniError> set_addresses(std::string_view value, std::vector<net::IpAddress>& addresses) {
  addresses.clear();
  const auto pieces = split(value, ',');
  if (pieces.size() > kMaxRequestedAddresses) {
    return invalid("CNI_ARGS IP has more than " + std::to_string(kMaxRequestedAddresses) + " addresses");
  }
  for (const std::string_view piece : pieces) {
    const auto address = parse_requested_address(piece, "CNI_ARGS IP", CniCode::kInvalidEnvironment);
    if (!address) return address.error();
    addresses.push_back(*address);
  }
  return std::nullopt;
}

/// True when `key` is one this plugin knows; `error` is set when its value is wrong.
bool set_known(std::string_view key, std::string_view value, CniArgs& args, std::optional<CniError>& error) {
  const std::array<std::pair<std::string_view, std::string*>, 3> pod_fields = {{
      {"K8S_POD_NAMESPACE", &args.pod_namespace},
      {"K8S_POD_NAME", &args.pod_name},
      {"K8S_POD_UID", &args.pod_uid},
  }};
  for (const auto& [name, field] : pod_fields) {
    if (key != name) continue;
    error = set_pod_field(key, value, *field);
    return true;
  }
  if (key == "IP") {
    error = set_addresses(value, args.addresses);
    return true;
  }
  if (key == "MAC") {
    const auto mac = net::Mac::parse(value);
    if (mac) {
      args.mac = *mac;
    } else {
      error = invalid("CNI_ARGS MAC is " + shown(value) + "; allowed: aa:bb:cc:dd:ee:ff");
    }
    return true;
  }
  if (const auto field = port_wish_of_args(key)) {
    error = set_port_wish(*field, "CNI_ARGS " + std::string(key), value, CniCode::kInvalidEnvironment, args.port);
    return true;
  }
  return key == "K8S_POD_INFRA_CONTAINER_ID";  // the same as CNI_CONTAINERID
}

}  // namespace

CniResult<net::IpAddress> parse_requested_address(std::string_view text, std::string_view field, CniCode code) {
  const CniError refusal{code, std::string(field) + " holds " + shown(text) + "; allowed: ADDRESS or ADDRESS/LENGTH",
                         ""};
  const std::size_t slash = text.find('/');
  const auto address = net::IpAddress::parse(text.substr(0, slash));
  if (!address) return refusal;
  if (slash != std::string_view::npos) {
    const std::string_view length = text.substr(slash + 1);
    unsigned bits = 0;
    const auto [end, failure] = std::from_chars(length.data(), length.data() + length.size(), bits);
    if (failure != std::errc() || end != length.data() + length.size() || bits > address->bits()) return refusal;
  }
  return *address;
}

CniResult<CniArgs> parse_cni_args(std::string_view text) {
  CniArgs args;
  bool ignore_unknown = false;
  std::string unknown;
  for (const std::string_view piece : split(text, ';')) {
    if (piece.empty()) continue;
    const std::size_t equals = piece.find('=');
    if (equals == 0 || equals == std::string_view::npos) {
      return invalid("CNI_ARGS holds " + shown(piece) + "; allowed: KEY=VALUE with ';' between");
    }
    const std::string_view key = piece.substr(0, equals);
    const std::string_view value = piece.substr(equals + 1);
    if (key == "IgnoreUnknown") {
      const auto flag = parse_bool(value);
      if (!flag) return flag.error();
      ignore_unknown = *flag;
      continue;
    }
    std::optional<CniError> error;
    if (!set_known(key, value, args, error) && unknown.empty()) unknown = shown(key);
    if (error) return *error;
  }
  if (!unknown.empty() && !ignore_unknown) {
    return invalid("CNI_ARGS has the unknown key " + unknown + "; IgnoreUnknown=1 would allow it");
  }
  return args;
}

}  // namespace millrace::cni_shim
