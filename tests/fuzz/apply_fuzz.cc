/// What a client sends to Apply, as any bytes, against the production state over in-memory devices.
///
/// Shape:   a serialized api::ApplyRequest, to a switch that has the ports "a" (10.0.0.1, fd00::1) and "node" (both
///          default routes). Interfaces whose name begins with "gone" cannot be opened.
/// Must be: an error and a dry run change nothing, and an error is one bounded, printable line; a success is in force
///          as it was asked for, every worker has seen it, and asking for it again changes nothing. A port is isolated
///          where its policies say so, and closed while it awaits them.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "tests/switch/test_switch.h"

namespace {

using namespace millrace;                    // NOLINT(google-build-using-namespace): the subject of the whole file
using namespace millrace::control::switchd;  // NOLINT(google-build-using-namespace)
using net::PortId;

constexpr std::size_t kMaxErrorBytes = 1024;

[[noreturn]] void fail(const char* what, const std::string& text) {
  std::fprintf(stderr, "%s: %s\n", what, text.c_str());
  std::abort();
}

void check_that(bool holds, const char* what, const std::string& text) {
  if (!holds) fail(what, text);
}

/// Everything a client can see of the state, and what is open.
struct View {
  std::string ports;
  std::string tunnels;
  std::uint64_t generation = 0;
  std::size_t open = 0;
  const void* snapshot = nullptr;
  const void* policy = nullptr;
  friend bool operator==(const View&, const View&) = default;
};

View view_of(const TestSwitch& sw) {
  return {sw.ports(),
          sw.state->list_tunnels().SerializeAsString(),
          sw.state->generation(),
          sw.opener.open_count(),
          sw.publisher.current(),
          sw.state->policy().get()};
}

std::map<std::string, api::PortSpec> specs_of(const TestSwitch& sw) {
  std::map<std::string, api::PortSpec> specs;
  const api::ListPortsReply list = sw.state->list_ports();
  for (const api::PortStatus& port : list.ports()) specs[port.spec().name()] = port.spec();
  return specs;
}

void check_error(const TestSwitch& sw, const View& before, const net::Error& error) {
  check_that(view_of(sw) == before, "an error changed something", error.message);
  check_that(!error.message.empty() && error.message.size() <= kMaxErrorBytes, "length of the message", error.message);
  const bool printable =
      std::all_of(error.message.begin(), error.message.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  check_that(printable, "message is not printable", error.message);
}

bool is_isolated(const api::PolicyDirectionStatus& status, bool is_wanted, bool is_ingress, const PortId id,
                 const TestSwitch& sw) {
  const datapath::PortEntry& entry = sw.publisher.current()->ports[id];
  return status.isolated() == is_wanted && ((is_ingress ? entry.ingress : entry.egress) != nullptr) == is_wanted;
}

/// What workers have of each port's policies is what the request said of them.
void check_policies(const TestSwitch& sw, const api::ApplyRequest& request) {
  const std::vector<std::string> names = sw.state->port_names();
  for (PortId id = 0; id < sw.state->port_limit(); ++id) {  // tunnels lie behind it
    if (names[id].empty()) continue;
    const api::PortPolicyStatus status = sw.state->port_policy(names[id]).value();
    check_that(sw.publisher.current()->ports[id].awaits_policy == status.awaits_policy(), "awaits", names[id]);
    for (const api::PortPolicy& wanted : request.upsert_port_policies()) {
      if (wanted.port() != names[id]) continue;
      check_that(!status.awaits_policy(), "named, and awaits still", names[id]);
      check_that(is_isolated(status.ingress(), wanted.ingress_size() != 0, true, id, sw), "ingress", names[id]);
      check_that(is_isolated(status.egress(), wanted.egress_size() != 0, false, id, sw), "egress", names[id]);
    }
    for (const std::string& removed : request.remove_port_policies()) {
      if (removed != names[id]) continue;
      check_that(!status.ingress().isolated() && !status.egress().isolated(), "policies not removed", removed);
    }
  }
}

/// The tunnels that were asked for are there, with their prefixes.
void check_tunnels(const TestSwitch& sw, const api::ApplyRequest& request) {
  const api::ListTunnelsReply list = sw.state->list_tunnels();
  std::map<std::string, api::Tunnel> in_force;
  for (const api::TunnelStatus& tunnel : list.tunnels()) in_force[tunnel.spec().name()] = tunnel.spec();
  check_that(in_force.empty() || list.has_underlay(), "tunnels and no underlay", list.DebugString());
  for (const api::Tunnel& wanted : request.upsert_tunnels()) {
    const auto found = in_force.find(wanted.name());
    check_that(found != in_force.end(), "tunnel not in force", wanted.name());
    const bool is_same = found->second.remote() == wanted.remote() &&
                         found->second.encapsulation() == wanted.encapsulation() &&
                         found->second.prefixes_size() == wanted.prefixes_size();
    check_that(is_same, "tunnel not as it was asked for", wanted.DebugString() + found->second.DebugString());
  }
  for (const std::string& name : request.remove_tunnels())
    check_that(!in_force.contains(name), "tunnel not removed", name);
}

void check_success(TestSwitch& sw, const api::ApplyRequest& request, const api::ApplyReply& reply) {
  check_that(reply.generation() == sw.state->generation(), "generation of the reply", reply.DebugString());
  check_that(sw.publisher.seen_by_all(reply.generation()), "not seen by all", reply.DebugString());
  check_that(sw.opener.open_count() == sw.state->port_count(), "a device leaked", sw.ports());
  std::map<std::string, api::PortSpec> in_force = specs_of(sw);
  check_that(in_force.size() <= sw.state->port_limit(), "over the limit", sw.ports());
  for (const api::PortFailure& failure : reply.failures()) {
    check_that(!in_force.contains(failure.name()), "failed and in force", failure.name());
    in_force.emplace(failure.name(), api::PortSpec());
  }
  for (api::PortSpec spec : request.upsert_ports()) {
    const auto found = in_force.find(spec.name());
    check_that(found != in_force.end(), "not in force", spec.name());
    spec.DiscardUnknownFields();
    for (api::RoutePrefix& prefix : *spec.mutable_prefixes()) prefix.DiscardUnknownFields();
    check_that(found->second.name().empty() || found->second.SerializeAsString() == spec.SerializeAsString(),
               "not as it was asked for", spec.DebugString() + found->second.DebugString());
  }
  for (const std::string& name : request.remove_ports()) check_that(!in_force.contains(name), "not removed", name);

  check_policies(sw, request);
  check_tunnels(sw, request);
  api::ApplyRequest again = request;
  const bool is_about_ports = sw.state->services()->by_name.empty() && sw.state->policy()->policies->empty() &&
                              sw.state->policy()->groups->empty() && sw.state->list_tunnels().tunnels_size() == 0 &&
                              request.upsert_endpoints_size() == 0 && request.upsert_port_policies_size() == 0;
  if (is_about_ports) {
    again.Clear();
    again.set_replace_all(true);
    for (const auto& [name, spec] : specs_of(sw)) *again.add_upsert_ports() = spec;
  }
  const View view = view_of(sw);
  const auto second = sw.apply(again);
  check_that(second.ok(), "what is in force is refused", second.ok() ? "" : second.error().message);
  check_that(view_of(sw) == view, "the same again is a change", sw.ports());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  api::ApplyRequest request;
  if (!request.ParseFromArray(data, static_cast<int>(size))) return 0;
  TestSwitch sw({.port_limit = 4, .packets = 1});
  const auto ready = sw.apply(upsert({pod("a", {"10.0.0.1", "fd00::1"}), host("node", {"0.0.0.0/0", "::/0"})}));
  check_that(ready.ok(), "the first ports", ready.ok() ? "" : ready.error().message);
  for (const api::PortSpec& port : request.upsert_ports()) {
    if (port.interface().starts_with("gone")) sw.opener.missing.insert(port.interface());
  }
  const View before = view_of(sw);
  const auto result = sw.apply(request);
  if (result.ok() && request.dry_run()) {
    check_that(view_of(sw) == before, "a dry run changed something", sw.ports());
  } else if (result.ok()) {
    check_success(sw, request, *result);
  } else {
    check_error(sw, before, result.error());
  }
  return 0;
}
