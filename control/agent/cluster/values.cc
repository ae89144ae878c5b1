#include "control/agent/cluster/values.h"

#include <ctime>
#include <iomanip>
#include <sstream>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "control/agent/json_depth.h"
#include "control/kube/manifest.h"
#include "control/names/syntax.h"

namespace millrace::control::agent::cluster {
namespace {

using Json = nlohmann::json;

net::Result<Json> parse_map(const std::string& text) {
  if (is_too_deep(text)) return net::invalid_argument("is nested too deeply");
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return net::invalid_argument("is no JSON map");
  return json;
}

/// 0 when it is not there or no time.
std::uint64_t unix_ms_of(const Json& json) {
  const auto metadata = json.find("metadata");
  if (metadata == json.end() || !metadata->is_object()) return 0;
  const auto text = metadata->find("creationTimestamp");
  if (text == metadata->end() || !text->is_string()) return 0;
  std::tm time{};
  std::istringstream stream(text->get<std::string>());
  stream >> std::get_time(&time, "%Y-%m-%dT%H:%M:%SZ");
  if (stream.fail()) return 0;
  const std::time_t seconds = timegm(&time);
  return seconds < 0 ? 0 : static_cast<std::uint64_t>(seconds) * 1000;
}

std::string text_in(const Json& map, const char* field) {
  const auto found = map.find(field);
  return found != map.end() && found->is_string() ? found->get<std::string>() : "";
}

template <typename T>
T number_in(const Json& map, const char* field) {
  const auto found = map.find(field);
  return found != map.end() && found->is_number_integer() && *found >= 0 ? found->get<T>() : 0;
}

net::Result<std::vector<net::IpAddress>> addresses_in(const Json& map) {
  std::vector<net::IpAddress> addresses;
  const auto found = map.find("addresses");
  if (found == map.end() || !found->is_array()) return net::invalid_argument("addresses: is no list");
  if (found->size() > kMaxAttachmentAddresses) return net::invalid_argument("addresses: are too many");
  for (const Json& each : *found) {
    if (!each.is_string()) return net::invalid_argument("addresses: one is no text");
    auto address = net::IpAddress::parse(each.get<std::string>());
    if (!address) return net::invalid_argument("addresses: " + address.error().message);
    addresses.push_back(*address);
  }
  return addresses;
}

}  // namespace

std::string object_value(const ObjectRecord& record) {
  Json json = Json::parse(record.json);
  const auto seconds = static_cast<std::time_t>(record.created_unix_ms / 1000);
  json["metadata"]["creationTimestamp"] = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(seconds));
  return json.dump();
}

net::Result<ObjectRecord> parse_object_value(const kube::ObjectKey& key, const std::string& text) {
  auto json = parse_map(text);
  if (!json) return json.error();
  auto read = kube::parse_object(*json);
  if (!read) return read.error();
  if (const kube::ObjectKey own = kube::key_of(read->object); own != key) {
    return net::invalid_argument(fmt::format("says that it is {}", kube::to_string(own)));
  }
  return ObjectRecord{std::make_shared<const kube::Object>(std::move(read->object)), read->json.dump(),
                      unix_ms_of(*json)};
}

std::string attachment_value(const PodAttachment& attachment) {
  Json json = {
      {"addresses", Json::array()},
      {"createdUnixMs", attachment.created_unix_ms},
      {"id", attachment.id},
      {"pod", {{"name", attachment.pod.name}, {"namespace", attachment.pod.name_space}, {"uid", attachment.pod_uid}}}};
  for (const net::IpAddress& address : attachment.addresses) json["addresses"].push_back(address.to_string());
  return json.dump();
}

net::Result<PodAttachment> parse_attachment_value(const std::string& text) {
  auto json = parse_map(text);
  if (!json) return json.error();
  const auto pod = json->find("pod");
  if (pod == json->end() || !pod->is_object()) return net::invalid_argument("pod: is no map");
  PodAttachment read;
  read.pod = {kube::Kind::kPod, text_in(*pod, "namespace"), text_in(*pod, "name")};
  if (!names::is_dns_label(read.pod.name_space)) return net::invalid_argument("pod.namespace: is no name");
  if (!names::is_dns_subdomain(read.pod.name)) return net::invalid_argument("pod.name: is no name");
  read.pod_uid = text_in(*pod, "uid");
  read.id = number_in<std::int64_t>(*json, "id");
  read.created_unix_ms = number_in<std::uint64_t>(*json, "createdUnixMs");
  auto addresses = addresses_in(*json);
  if (!addresses) return addresses.error();
  read.addresses = *std::move(addresses);
  return read;
}

std::vector<kube::NodeAddress> parse_node_addresses(const std::string& text) {
  std::vector<kube::NodeAddress> read;
  const auto json = parse_map(text);
  if (!json) return read;
  const auto addresses = addresses_in(*json);
  if (!addresses) return read;
  for (const net::IpAddress& address : *addresses) read.push_back({"InternalIP", address});
  return read;
}

std::string parse_block_node(const std::string& text) {
  const auto json = parse_map(text);
  return json && text_in(*json, "state") != "empty" ? text_in(*json, "node") : "";
}

}  // namespace millrace::control::agent::cluster
