#include "control/switch/service_request.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "control/switch/field_checks.h"

namespace millrace::control::switchd {
namespace {

using net::Result;

Result<std::uint16_t> parse_port(std::uint32_t port) {
  if (port >= 1 && port <= kPortLimit) return static_cast<std::uint16_t>(port);
  return net::invalid_argument(fmt::format("port: {}; allowed: 1..{}", port, kPortLimit));
}

Result<nat::Backend> parse_backend(const api::Backend& wire) {
  const auto address = check_unicast("address", wire.address());
  if (!address) return address.error();
  const auto port = parse_port(wire.port());
  if (!port) return port.error();
  return nat::Backend{*address, *port};
}

Result<std::vector<nat::Backend>> parse_set(const api::BackendSet& wire) {
  std::vector<nat::Backend> backends;
  backends.reserve(static_cast<std::size_t>(wire.backends_size()));
  for (int i = 0; i < wire.backends_size(); ++i) {
    const auto backend = parse_backend(wire.backends(i));
    if (!backend) return within(fmt::format("backends[{}]", i), backend.error());
    backends.push_back(*backend);
  }
  return backends;
}

Result<nat::FrontendRule> parse_rule(const api::FrontendRule& wire) {
  nat::FrontendRule rule;
  rule.masquerade = wire.masquerade();
  switch (wire.action()) {
    case api::FRONTEND_ACTION_BALANCE: rule.action = nat::FrontendAction::kBalance; break;
    case api::FRONTEND_ACTION_REJECT: rule.action = nat::FrontendAction::kReject; return rule;
    case api::FRONTEND_ACTION_DROP: rule.action = nat::FrontendAction::kDrop; return rule;
    default:
      return net::invalid_argument(
          fmt::format("action: {}; allowed: FRONTEND_ACTION_BALANCE, FRONTEND_ACTION_REJECT or FRONTEND_ACTION_DROP",
                      static_cast<int>(wire.action())));
  }
  if (wire.backend_set() >= nat::kMaxBackendSetsPerService) {
    return net::invalid_argument(
        fmt::format("backend_set: {}; allowed: 0..{}", wire.backend_set(), nat::kMaxBackendSetsPerService - 1));
  }
  rule.backend_set = static_cast<std::uint16_t>(wire.backend_set());
  return rule;
}

constexpr std::string_view kRuleFields[nat::kSourceKinds] = {"from_pod", "from_node", "from_external"};

Result<std::vector<net::Prefix>> parse_ranges(const api::Frontend& wire) {
  std::vector<net::Prefix> ranges;
  for (int i = 0; i < wire.source_ranges_size(); ++i) {
    const api::RoutePrefix& range = wire.source_ranges(i);
    const auto prefix = check_prefix(fmt::format("source_ranges[{}]", i), range.address(), range.length());
    if (!prefix) return prefix.error();
    ranges.push_back(*prefix);
  }
  return ranges;
}

Result<nat::FrontendSpec> parse_frontend(const api::Frontend& wire) {
  nat::FrontendSpec frontend;
  const auto address = check_unicast("address", wire.address());
  if (!address) return address.error();
  frontend.address = *address;
  const bool known = wire.protocol() == net::ip_protocol::kTcp || wire.protocol() == net::ip_protocol::kUdp ||
                     wire.protocol() == net::ip_protocol::kSctp;
  if (!known) {
    return net::invalid_argument(
        fmt::format("protocol: {}; allowed: 6 (TCP), 17 (UDP) or 132 (SCTP)", wire.protocol()));
  }
  frontend.protocol = static_cast<std::uint8_t>(wire.protocol());
  const auto port = parse_port(wire.port());
  if (!port) return port.error();
  frontend.port = *port;
  const api::FrontendRule* const rules[nat::kSourceKinds] = {&wire.from_pod(), &wire.from_node(),
                                                             &wire.from_external()};
  for (unsigned kind = 0; kind < nat::kSourceKinds; ++kind) {
    const auto rule = parse_rule(*rules[kind]);
    if (!rule) return within(std::string(kRuleFields[kind]), rule.error());
    frontend.rules[kind] = *rule;
  }
  auto ranges = parse_ranges(wire);
  if (!ranges) return ranges.error();
  frontend.source_ranges = std::move(ranges).value();
  return frontend;
}

Result<void> check_service_name(const std::string& name) {
  if (name.empty() || name.size() > nat::kMaxServiceNameBytes) {
    return net::invalid_argument(fmt::format("name: {} bytes; allowed: 1..{}", name.size(), nat::kMaxServiceNameBytes));
  }
  const auto text = check_description("name", name);  // it is shown on terminals
  if (!text) return text.error();
  return {};
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

/// nat's words about a service in those of the request.
net::Error in_request(const std::string& field, const std::string& name, net::Error error) {
  const std::string before = fmt::format("service {}: ", name);
  if (error.message.starts_with(before)) error.message.erase(0, before.size());
  for (unsigned kind = 0; kind < nat::kSourceKinds; ++kind) {
    replace_all(error.message, fmt::format("rules[{}]", kind), kRuleFields[kind]);
  }
  return within(field, error);
}

Result<nat::ServiceSpec> parse_service(const api::Service& wire) {
  nat::ServiceSpec spec;
  spec.name = wire.name();
  spec.affinity_seconds = wire.affinity_seconds();
  for (int i = 0; i < wire.backend_sets_size(); ++i) {
    auto set = parse_set(wire.backend_sets(i));
    if (!set) return within(fmt::format("backend_sets[{}]", i), set.error());
    spec.backend_sets.push_back(std::move(set).value());
  }
  for (int i = 0; i < wire.frontends_size(); ++i) {
    auto frontend = parse_frontend(wire.frontends(i));
    if (!frontend) return within(fmt::format("frontends[{}]", i), frontend.error());
    spec.frontends.push_back(std::move(frontend).value());
  }
  return spec;
}

Result<std::shared_ptr<const LiveService>> build_one(const std::string& field, const api::Service& wire,
                                                     const LiveServices& before) {
  if (auto name = check_service_name(wire.name()); !name) return within(field, name.error());
  LiveService next{wire.SerializeAsString(), nullptr};
  if (const auto found = before.find(wire.name()); found != before.end() && found->second->wire == next.wire) {
    return found->second;
  }
  const auto spec = parse_service(wire);
  if (!spec) return within(field, spec.error());
  auto built = nat::build_service(*spec);
  if (!built) return in_request(field, wire.name(), built.error());
  next.service = std::move(built).value();
  return std::shared_ptr<const LiveService>(std::make_shared<LiveService>(std::move(next)));
}

}  // namespace

Result<ServiceChange> parse_services(const api::ApplyRequest& request, const LiveServices& before) {
  if (static_cast<std::size_t>(request.upsert_services_size()) > nat::kMaxServices) {
    return net::resource_exhausted(fmt::format("upsert_services: {} services; the table of services holds {}",
                                               request.upsert_services_size(), nat::kMaxServices));
  }
  ServiceChange change;
  std::unordered_map<std::string_view, int> named;
  for (int i = 0; i < request.upsert_services_size(); ++i) {
    const api::Service& wire = request.upsert_services(i);
    const std::string field = fmt::format("upsert_services[{}]", i);
    auto service = build_one(field, wire, before);
    if (!service) return service.error();
    if (const auto [found, is_new] = named.emplace(wire.name(), i); !is_new) {
      return net::invalid_argument(
          fmt::format("{}.name: \"{}\" is also that of upsert_services[{}]", field, wire.name(), found->second));
    }
    change.upserts.emplace_back(wire.name(), std::move(service).value());
  }
  for (int i = 0; i < request.remove_services_size(); ++i) {
    const std::string& name = request.remove_services(i);
    if (named.contains(name)) {
      return net::invalid_argument(fmt::format("remove_services[{}]: \"{}\" is also in upsert_services", i, name));
    }
    change.removals.push_back(name);
  }
  return change;
}

Result<std::shared_ptr<const nat::ServiceTable>> build_services(const LiveServices& services,
                                                                const ServiceChange& change) {
  std::unordered_map<std::string_view, std::size_t> changed;
  for (std::size_t i = 0; i < change.upserts.size(); ++i) changed.emplace(change.upserts[i].first, i);
  std::vector<std::shared_ptr<const nat::Service>> list;
  list.reserve(services.size());
  // The table blames the later of two: those of the request are the last.
  for (const bool of_request : {false, true}) {
    for (const auto& [name, live] : services) {
      if (changed.contains(name) == of_request) list.push_back(live->service);
    }
  }
  auto table = nat::ServiceTable::build(std::move(list));
  if (table) return table;
  for (const auto& [name, index] : changed) {
    if (!table.error().message.starts_with(fmt::format("service {}: ", name))) continue;
    return in_request(fmt::format("upsert_services[{}]", index), std::string(name), table.error());
  }
  return net::Error{table.error().code, fmt::format("upsert_services: {}", table.error().message)};
}

}  // namespace millrace::control::switchd
