#include "control/agent/reserved_ports.h"

#include <fmt/format.h>

#include <charconv>

#include "control/agent/sysctl.h"

namespace millrace::control::agent {
namespace {

constexpr const char* kSysctl = "ipv4/ip_local_reserved_ports";
constexpr const char* kAdded = "reserved_ports.added";  // in the store

bool read_port(std::string_view text, std::uint16_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

net::Result<PortSet> added_before(Store& store) {
  auto text = store.meta(kAdded);
  if (!text) return text.error();
  return parse_ports(text->value_or(""));
}

}  // namespace

PortSet port_range(std::uint16_t first, std::uint16_t last) {
  PortSet ports;
  for (std::uint32_t port = first; port <= last; ++port) ports.set(port);
  return ports;
}

PortSet parse_ports(std::string_view text) {
  PortSet ports;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const std::size_t dash = part.find('-');
    std::uint16_t first = 0, last = 0;
    if (read_port(part.substr(0, dash), first)) {
      last = first;
      if (dash == std::string_view::npos || read_port(part.substr(dash + 1), last)) ports |= port_range(first, last);
    }
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return ports;
}

std::string to_string(const PortSet& ports) {
  std::string text;
  for (std::size_t first = 0; first < ports.size(); ++first) {
    if (!ports.test(first)) continue;
    std::size_t last = first;
    while (last + 1 < ports.size() && ports.test(last + 1)) ++last;
    if (!text.empty()) text += ',';
    text += first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
    first = last;
  }
  return text;
}

net::Result<void> reserve_ports(Store& store, const PortSet& wanted) {
  auto before = added_before(store);
  if (!before) return before.error();
  auto now = read_sysctl(kSysctl);
  if (!now) return now.error();
  const PortSet others = parse_ports(*now) & ~*before;
  if (auto noted = store.set_meta(kAdded, to_string(wanted & ~others)); !noted) return noted;
  return write_sysctl(kSysctl, to_string(others | wanted));
}

net::Result<void> release_ports(Store& store) {
  auto before = added_before(store);
  if (!before) return before.error();
  if (before->none()) return {};
  auto now = read_sysctl(kSysctl);
  if (!now) return now.error();
  const std::string rest = to_string(parse_ports(*now) & ~*before);
  // An empty write changes nothing; a line end alone empties the list.
  if (auto written = write_sysctl(kSysctl, rest.empty() ? "\n" : rest); !written) return written;
  return store.set_meta(kAdded, "");
}

}  // namespace millrace::control::agent
