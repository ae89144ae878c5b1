#include "cni-shim/dns.h"

#include <array>

namespace millrace::cni_shim {
namespace {

struct ListMember {
  std::string_view key;
  std::vector<std::string>* list;
};

std::optional<CniError> read_list(const Json& object, std::string_view field, const ListMember& member) {
  const Json* value = find_member(object, member.key);
  if (value == nullptr) return std::nullopt;
  const std::string name = std::string(field) + "." + std::string(member.key);
  if (!value->is_array()) return CniError{CniCode::kInvalidConfig, name + " must be a list of strings", ""};
  std::vector<std::string> list;
  for (const Json& entry : *value) {
    const auto* text = entry.get_ptr<const std::string*>();
    if (text == nullptr) return CniError{CniCode::kInvalidConfig, name + " must be a list of strings", ""};
    list.push_back(*text);
  }
  if (!list.empty()) *member.list = std::move(list);
  return std::nullopt;
}

std::optional<CniError> require_object(const Json& object, std::string_view field) {
  if (object.is_object()) return std::nullopt;
  return CniError{CniCode::kInvalidConfig, std::string(field) + " must be an object", ""};
}

}  // namespace

CniResult<Dns> parse_dns(const Json& object, std::string_view field) {
  if (auto error = require_object(object, field)) return *error;
  Dns dns;
  const std::array<ListMember, 3> lists = {
      {{"nameservers", &dns.nameservers}, {"search", &dns.search}, {"options", &dns.options}}};
  for (const ListMember& member : lists) {
    if (auto error = read_list(object, field, member)) return *error;
  }
  if (const Json* domain = find_member(object, "domain")) {
    const auto* text = domain->get_ptr<const std::string*>();
    if (text == nullptr) return CniError{CniCode::kInvalidConfig, std::string(field) + ".domain must be a string", ""};
    dns.domain = *text;
  }
  return dns;
}

CniResult<Dns> apply_runtime_dns(Dns dns, const Json& runtime_dns) {
  constexpr std::string_view kField = "runtimeConfig.dns";
  if (auto error = require_object(runtime_dns, kField)) return *error;
  const std::array<ListMember, 3> lists = {
      {{"servers", &dns.nameservers}, {"searches", &dns.search}, {"options", &dns.options}}};
  for (const ListMember& member : lists) {
    if (auto error = read_list(runtime_dns, kField, member)) return *error;
  }
  return dns;
}

Json to_json(const Dns& dns) {
  Json object = Json::object();
  if (!dns.nameservers.empty()) object["nameservers"] = dns.nameservers;
  if (!dns.domain.empty()) object["domain"] = dns.domain;
  if (!dns.search.empty()) object["search"] = dns.search;
  if (!dns.options.empty()) object["options"] = dns.options;
  return object;
}

}  // namespace millrace::cni_shim
