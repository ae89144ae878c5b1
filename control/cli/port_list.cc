// millrace port list
#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/counters.h"
#include "control/cli/message_json.h"
#include "control/cli/table.h"

namespace millrace::control::cli {

namespace {

std::string kind_text(api::PortKind kind) {
  switch (kind) {
    case api::PORT_KIND_POD: return "pod";
    case api::PORT_KIND_HOST: return "host";
    case api::PORT_KIND_UPLINK: return "uplink";
    case api::PORT_KIND_NODE_LINK: return "node link";
    default: return "unknown";
  }
}

std::string type_text(const api::PortSpec& spec) {
  if (spec.has_vhost_user()) return "vhost-user";
  return spec.device().empty() ? "af-xdp" : "dpdk";
}

/// An uplink that DPDK drives by its device: its interface is the node's end of the node link.
const std::string& interface_text(const api::PortSpec& spec) {
  if (spec.has_vhost_user()) return spec.vhost_user().path();
  return spec.device().empty() ? spec.interface() : spec.device();
}

std::string state_text(api::PortState state) {
  switch (state) {
    case api::PORT_STATE_UP: return "up";
    case api::PORT_STATE_INTERFACE_GONE: return "interface gone";
    case api::PORT_STATE_NO_GUEST: return "no guest";
    case api::PORT_STATE_MEMORY_LOST: return "memory lost";
    default: return "unknown";
  }
}

std::string addresses_text(const api::PortSpec& spec) {
  std::string out;
  for (const std::string& address : spec.addresses()) out += (out.empty() ? "" : ",") + address_text(address);
  for (const api::RoutePrefix& prefix : spec.prefixes()) {
    out += fmt::format("{}{}/{}", out.empty() ? "" : ",", address_text(prefix.address()), prefix.length());
  }
  return out;
}

/// Of its queues in their order: an uplink may have several.
std::string workers_text(const api::PortStatus& port) {
  std::string out;
  for (const std::uint32_t worker : port.workers()) out += fmt::format("{}{}", out.empty() ? "" : ",", worker);
  return out;
}

net::Result<int> port_list(Context& context) {
  auto config = context.config();
  if (!config) return config.error();
  auto reply = switch_client(*config).call(&api::Switch::Stub::ListPorts, api::ListPortsRequest());
  if (!reply) return reply.error();
  if (context.json()) {
    fmt::print("{}", json_text(to_json(*reply)));
    return 0;
  }
  const auto right = Table::Align::kRight;
  Table table({{"PORT"},
               {"KIND"},
               {"TYPE"},
               {"INTERFACE"},
               {"STATE"},
               {"WORKER", right},
               {"XDP"},
               {"MTU", right},
               {"MAC"},
               {"ADDRESSES"},
               {"RX-PACKETS", right},
               {"TX-PACKETS", right},
               {"DROPPED", right},
               {"KERNEL-DROPPED", right}});
  for (const api::PortStatus& port : reply->ports()) {
    const api::PortSpec& spec = port.spec();
    table.add({spec.name(), kind_text(spec.kind()), type_text(spec), interface_text(spec), state_text(port.state()),
               workers_text(port), port.xdp_mode(), std::to_string(spec.mtu()),
               address_text(port.device_mac().empty() ? spec.mac() : port.device_mac()), addresses_text(spec),
               std::to_string(port.totals().rx_packets()), std::to_string(port.totals().tx_packets()),
               std::to_string(drops_of(port.totals())), std::to_string(port.kernel_dropped())});
  }
  fmt::print("{}", table.to_string());
  return 0;
}

}  // namespace

void add_port(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("port", "The switch's ports");
  group->require_subcommand(1);
  CLI::App* command = add_command(*group, context, "list", "List the ports with their addresses and totals", port_list);
  add_output_option(*command, context);
}

}  // namespace millrace::control::cli
