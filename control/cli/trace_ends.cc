#include "control/cli/trace_ends.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "control/cli/client.h"
#include "control/cli/pod_words.h"

namespace millrace::control::cli {

namespace {

using Json = nlohmann::json;

constexpr std::uint32_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpv6 = 58, kSctp = 132;
constexpr std::uint32_t kLastPort = 65'535;
constexpr const char* kPortForms = "PORT/tcp, PORT/udp, PORT/sctp with PORT 1..65535, or icmp";
constexpr const char* kServicePrefix = "service/";

std::optional<std::uint32_t> protocol_of(std::string word) {
  std::ranges::transform(word, word.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (word == "tcp") return kTcp;
  if (word == "udp") return kUdp;
  if (word == "sctp") return kSctp;
  return std::nullopt;
}

std::string bytes_of(const net::IpAddress& address) { return {address.raw().begin(), address.raw().end()}; }

net::Error in_flag(const char* flag, const net::Error& error) {
  return {error.code, fmt::format("{}: {}", flag, error.message)};
}

net::Result<TraceEnd> pod_end(const config::Config& config, const NamespacedName& name) {
  const auto pods = find_pod(config, name);
  if (!pods) return pods.error();
  TraceEnd end{"pod " + name.to_string(), {}, {}};
  for (const api::Pod& pod : *pods) {
    for (const std::string& bytes : pod.addresses()) {
      const auto address =
          net::IpAddress::from_bytes(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
      if (address) end.addresses.push_back(*address);
    }
  }
  return end;
}

net::Result<TraceEnd> named_service(const config::Config& config, const NamespacedName& name) {
  api::GetObjectsRequest request;
  request.set_kind("Service");
  request.set_namespace_(name.name_space);
  request.set_name(name.name);
  const auto reply = agent_client(config).call(&api::Agent::Stub::GetObjects, request);
  if (!reply) return reply.error();
  if (reply->objects_size() != 1) return net::not_found(fmt::format("no service {}", name.to_string()));
  return service_end(name.to_string(), Json::parse(reply->objects(0), nullptr, false));
}

net::Result<TraceEnd> source_end(const config::Config& config, const std::string& word) {
  if (const auto address = net::IpAddress::parse(word)) return TraceEnd{word, {*address}, {}};
  auto pod = pod_end(config, NamespacedName::parse(word));
  if (pod || pod.error().code != net::ErrorCode::kNotFound) return pod;
  return net::not_found(fmt::format("--from: {}; allowed: an address, or NAMESPACE/POD", pod.error().message));
}

net::Result<TraceEnd> destination_end(const config::Config& config, const std::string& word) {
  if (const auto address = net::IpAddress::parse(word)) return TraceEnd{word, {*address}, {}};
  if (word.starts_with(kServicePrefix)) {
    auto service = named_service(config, NamespacedName::parse(word.substr(std::string(kServicePrefix).size())));
    return service ? std::move(service) : in_flag("--to", service.error());
  }
  const NamespacedName name = NamespacedName::parse(word);
  auto pod = pod_end(config, name);
  if (pod || pod.error().code != net::ErrorCode::kNotFound) return pod;
  auto service = named_service(config, name);
  if (service || service.error().code != net::ErrorCode::kNotFound)
    return service ? std::move(service) : in_flag("--to", service.error());
  return net::not_found(fmt::format(
      "--to: no pod of this node and no service is {}; allowed: an address, NAMESPACE/POD, NAMESPACE/SERVICE",
      name.to_string()));
}

}  // namespace

net::Result<TracePortWord> TracePortWord::parse(const std::string& word) {
  if (word == "icmp" || word == "ICMP") return TracePortWord{kIcmp, 0};
  const std::size_t slash = word.find('/');
  const auto protocol = slash == std::string::npos ? std::optional(kTcp) : protocol_of(word.substr(slash + 1));
  const std::string number = word.substr(0, slash);
  std::uint32_t port = 0;
  const auto read = std::from_chars(number.data(), number.data() + number.size(), port);
  const bool is_number = read.ec == std::errc() && read.ptr == number.data() + number.size();
  if (!protocol || !is_number || port < 1 || port > kLastPort) {
    return net::invalid_argument(fmt::format("--port: {}; allowed: {}", word, kPortForms));
  }
  return TracePortWord{*protocol, port};
}

net::Result<TraceEnd> service_end(const std::string& name, const Json& service) {
  TraceEnd end{"service " + name, {}, {}};
  if (!service.is_object()) return net::internal_error(fmt::format("service {}: is no object", name));
  const Json spec = service.value("spec", Json::object());
  for (const Json& text : spec.value("clusterIPs", Json::array())) {
    // "None" of a headless one is no address.
    if (const auto address = net::IpAddress::parse(text.is_string() ? text.get<std::string>() : "")) {
      end.addresses.push_back(*address);
    }
  }
  if (end.addresses.empty()) {
    return net::invalid_argument(fmt::format("service {} has no address of its own; allowed: one of its pods", name));
  }
  for (const Json& port : spec.value("ports", Json::array())) {
    const auto protocol = protocol_of(port.value("protocol", "TCP"));
    if (protocol) end.ports.push_back({*protocol, port.value("port", 0U)});
  }
  return end;
}

net::Result<api::TraceRequest> trace_request(const TraceEnd& from, const TraceEnd& to,
                                             const std::optional<TracePortWord>& port, std::uint32_t source_port) {
  TracePortWord at;
  if (port) {
    at = *port;
  } else if (to.ports.size() == 1) {
    at = to.ports[0];
  } else {
    return net::invalid_argument(fmt::format("--port: missing, and {} has {}; allowed: {}", to.name,
                                             to.ports.empty() ? "none of its own" : "several", kPortForms));
  }
  for (const net::IpAddress& source : from.addresses) {
    const auto destination = std::ranges::find(to.addresses, source.family, &net::IpAddress::family);
    if (destination == to.addresses.end()) continue;
    const bool is_icmp = at.protocol == kIcmp;
    api::TraceRequest request;
    request.set_source(bytes_of(source));
    request.set_destination(bytes_of(*destination));
    request.set_protocol(is_icmp && !source.is_v4() ? kIcmpv6 : at.protocol);
    request.set_source_port(source_port);
    request.set_destination_port(is_icmp ? source_port : at.port);  // an echo has one identifier
    return request;
  }
  return net::invalid_argument(fmt::format("--to: {} has no address of a family that {} has", to.name, from.name));
}

net::Result<api::TraceRequest> resolve(const config::Config& config, const TraceWords& words) {
  std::optional<TracePortWord> port;
  if (!words.port.empty()) {
    const auto parsed = TracePortWord::parse(words.port);
    if (!parsed) return parsed.error();
    port = *parsed;
  }
  const auto from = source_end(config, words.from);
  if (!from) return from.error();
  const auto to = destination_end(config, words.to);
  if (!to) return to.error();
  return trace_request(*from, *to, port, words.source_port);
}

}  // namespace millrace::control::cli
