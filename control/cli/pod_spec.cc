#include "control/cli/pod_spec.h"

#include <charconv>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "control/names/syntax.h"
#include "net/address.h"

namespace millrace::control::cli {

namespace {

constexpr std::string_view kPodNameRule =
    "lower-case letters, digits, '-' and '.', a letter or digit at both ends of each part, at most 253 characters";
constexpr std::string_view kNamespaceRule = "1..63 lower-case letters, digits and '-', a letter or digit at both ends";
constexpr std::string_view kLabelRule =
    "KEY=VALUE; KEY is [PREFIX/]NAME with a DNS name as PREFIX; NAME has 1..63 and VALUE 0..63 letters, digits, '-', "
    "'_' and '.', a letter or digit at both ends";
constexpr std::string_view kPortRule =
    "[NAME:]PORT[/tcp|udp|sctp]; PORT 1..65535; NAME has 1..15 lower-case letters, digits and '-', a letter among "
    "them, no '-' at an end or twice in a row";

net::Error refuse(std::string_view option, std::string_view value, std::string_view wrong, std::string_view rule) {
  return net::invalid_argument(fmt::format("{}: \"{}\" {}; allowed: {}", option, value, wrong, rule));
}

net::Result<void> add_label(const std::string& word, api::PodObject& object) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos) return refuse("--label", word, "has no '='", kLabelRule);
  const std::string key = word.substr(0, equals), value = word.substr(equals + 1);
  if (!names::is_label_key(key)) return refuse("--label", word, "has a key that Kubernetes does not allow", kLabelRule);
  if (!names::is_label_value(value)) {
    return refuse("--label", word, "has a value that Kubernetes does not allow", kLabelRule);
  }
  if (!object.mutable_labels()->insert({key, value}).second) {
    return refuse("--label", word, "gives a key a second time", "each key once");
  }
  return {};
}

net::Result<api::ContainerPort> parse_port(const std::string& word) {
  std::string_view rest = word;
  api::ContainerPort port;
  if (const std::size_t colon = rest.find(':'); colon != std::string_view::npos) {
    const std::string_view name = rest.substr(0, colon);
    if (!names::is_port_name(name)) {
      return refuse("--port", word, "has a name that Kubernetes does not allow", kPortRule);
    }
    port.set_name(std::string(name));
    rest.remove_prefix(colon + 1);
  }
  port.set_protocol("TCP");
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    std::string protocol(rest.substr(slash + 1));
    for (char& c : protocol) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    if (protocol != "TCP" && protocol != "UDP" && protocol != "SCTP") {
      return refuse("--port", word, "has a protocol that is not known", kPortRule);
    }
    port.set_protocol(protocol);
    rest = rest.substr(0, slash);
  }
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (error != std::errc{} || end != rest.data() + rest.size() || number < 1 || number > 65535) {
    return refuse("--port", word, "has no port number", kPortRule);
  }
  port.set_port(number);
  return port;
}

net::Result<void> add_ports(const std::vector<std::string>& words, api::PodObject& object) {
  std::set<std::string> names, numbers;
  for (const std::string& word : words) {
    auto port = parse_port(word);
    if (!port) return port.error();
    if (!port->name().empty() && !names.insert(port->name()).second) {
      return refuse("--port", word, "gives a name a second time", "each name once");
    }
    if (!numbers.insert(fmt::format("{}/{}", port->port(), port->protocol())).second) {
      return refuse("--port", word, "gives a port a second time", "each port and protocol once");
    }
    *object.add_ports() = std::move(*port);
  }
  return {};
}

net::Result<void> add_addresses(const std::vector<std::string>& words, PodSpec& spec) {
  std::set<std::uint8_t> families;
  for (const std::string& word : words) {
    const auto address = net::IpAddress::parse(word);
    if (!address) return refuse("--ip", word, "is not an address", "an IPv4 or IPv6 address without a length");
    if (!families.insert(address->family).second) {
      return refuse("--ip", word, "is a second address of its family", "one IPv4 and one IPv6 address");
    }
    spec.addresses.push_back(address->to_string());
  }
  return {};
}

/// millrace-cni reads these words again: control/cli and cni-shim share nothing but them.
net::Result<void> add_port_type(const PodWords& words, PodSpec& spec) {
  constexpr unsigned kQueueLimit = 64;
  if (!words.type.empty() && words.type != "kernel" && words.type != "vhost-user") {
    return refuse("--type", words.type, "is no type of a port", "kernel, vhost-user");
  }
  if (!words.type.empty()) spec.port_args = "MILLRACE_PORT_TYPE=" + words.type;
  const bool is_vhost = words.type == "vhost-user";
  if (!words.vhost_listener.empty()) {
    if (!is_vhost || (words.vhost_listener != "switch" && words.vhost_listener != "pod")) {
      return refuse("--vhost-listener", words.vhost_listener, "cannot be", "switch or pod, with --type vhost-user");
    }
    spec.port_args += ";MILLRACE_VHOST_LISTENER=" + words.vhost_listener;
  }
  if (!words.vhost_queues.empty()) {
    const std::string& text = words.vhost_queues;
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_number = error == std::errc{} && end == text.data() + text.size();
    if (!is_vhost || !is_number || number < 1 || number > kQueueLimit) {
      return refuse("--vhost-queues", text, "cannot be",
                    fmt::format("1..{} queue pairs, with --type vhost-user", kQueueLimit));
    }
    spec.port_args += fmt::format(";MILLRACE_VHOST_QUEUES={}", number);
  }
  return {};
}

}  // namespace

std::string pod_text(const std::string& name_space, const std::string& name) { return name_space + "/" + name; }

net::Result<void> check_pod_name(const std::string& name) {
  if (!names::is_dns_subdomain(name)) return refuse("NAME", name, "is not a pod's name", kPodNameRule);
  return {};
}

net::Result<void> check_pod_namespace(const std::string& name_space) {
  if (!names::is_dns_label(name_space)) {
    return refuse("--namespace", name_space, "is not a namespace's name", kNamespaceRule);
  }
  return {};
}

net::Result<PodSpec> parse_pod(const PodWords& words) {
  if (auto checked = check_pod_name(words.name); !checked) return checked.error();
  if (auto checked = check_pod_namespace(words.name_space); !checked) return checked.error();
  PodSpec spec;
  spec.object.set_name(words.name);
  spec.object.set_namespace_(words.name_space);
  for (const std::string& label : words.labels) {
    if (auto added = add_label(label, spec.object); !added) return added.error();
  }
  if (auto added = add_ports(words.ports, spec.object); !added) return added.error();
  if (auto added = add_addresses(words.addresses, spec); !added) return added.error();
  if (auto added = add_port_type(words, spec); !added) return added.error();
  if (!words.mac.empty()) {
    const auto mac = net::Mac::parse(words.mac);
    if (!mac || mac->is_multicast() || *mac == net::Mac{}) {
      return refuse("--mac", words.mac, "is not a station's MAC address",
                    "six bytes like 02:00:00:00:00:01, not multicast");
    }
    spec.mac = mac->to_string();
  }
  return spec;
}

}  // namespace millrace::control::cli
