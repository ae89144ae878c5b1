// millrace status
#include <algorithm>

#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/message_json.h"
#include "control/cli/table.h"

namespace millrace::control::cli {

namespace {

using Json = nlohmann::ordered_json;

template <typename Status>
Json daemon_json(const net::Result<Status>& status) {
  Json out = {{"running", status.ok()}};
  if (status.ok())
    out.update(to_json(*status));
  else
    out["message"] = status.error().message;
  return out;
}

/// Those in which anything is, and how full they are: "  flows_ipv4    1200 of 1000000 (0.1 %)".
std::string tables_text(const api::SwitchStatus& status) {
  std::string out;
  for (const api::TableStatus& table : status.tables()) {
    if (table.used() == 0) continue;
    const double percent =
        100.0 * static_cast<double>(table.used()) / static_cast<double>(std::max<std::uint64_t>(table.limit(), 1));
    out += fmt::format("  {:<13} {} of {} ({:.1f} %)\n", table.name(), table.used(), table.limit(), percent);
  }
  return out;
}

std::string switch_text(const net::Result<api::SwitchStatus>& status) {
  if (!status) return status.error().message + "\n";
  return fmt::format("millraced       {}, pid {}, up {}, generation {}\n", status->version(), status->pid(),
                     duration_text(status->uptime_ms()), status->generation()) +
         fmt::format("  ports         {} of {}\n", status->port_count(), status->port_limit()) +
         fmt::format("  packets       {} of {} free\n", status->packets_free(), status->packets_limit()) +
         fmt::format("  memory        {}\n", status->memory()) + fmt::format("  poll          {}\n", status->poll()) +
         tables_text(*status);
}

std::string workers_text(const net::Result<api::GetCountersReply>& counters) {
  if (!counters) return "";
  std::string out;
  for (const auto& worker : counters->workers()) {
    out += fmt::format("  worker {:<6} cpu {}, {} ports\n", worker.worker(), worker.cpu(), worker.ports_size());
  }
  return out;
}

/// "  store         etcd, connected, revision 4711".
std::string store_text(const api::AgentStatus& status) {
  if (status.store() != "etcd") return "  store         " + status.store() + "\n";
  std::string out =
      fmt::format("  store         etcd, {}, revision {}, {}\n", status.store_connected() ? "connected" : "away",
                  status.store_revision(), status.member() ? "a node of the cluster" : "not a node of the cluster");
  if (!status.store_message().empty()) out += fmt::format("                {}\n", status.store_message());
  return out + fmt::format("  between nodes {}\n", status.encapsulation());
}

/// Of a switch that is connected the message is of ports that it could not open.
std::string switch_text(const api::AgentStatus& status) {
  if (!status.switch_connected()) return status.switch_message();
  if (status.switch_message().empty()) return "connected, in the desired state";
  return "connected; not open: " + status.switch_message();
}

std::string agent_text(const net::Result<api::AgentStatus>& status) {
  if (!status) return status.error().message + "\n";
  std::string out = fmt::format("millrace-agent  {}, pid {}, up {}, generation {}\n", status->version(), status->pid(),
                                duration_text(status->uptime_ms()), status->generation()) +
                    fmt::format("  node          {}\n", status->node_name()) +
                    fmt::format("  switch        {}\n", switch_text(*status)) +
                    fmt::format("  pods          {}\n", status->pod_count());
  out += fmt::format("  mtu           {}\n", status->mtu()) + store_text(*status);
  for (const api::IpamPool& pool : status->pools()) {
    out += fmt::format("  pool          {}, block {}: {} of {} addresses used\n", pool.pool(), pool.block(),
                       pool.used(), pool.capacity());
  }
  if (!status->ready()) {
    out += fmt::format("  ready         no: pods cannot be added{}{}\n", status->message().empty() ? "" : ": ",
                       status->message());
  }
  return out;
}

net::Result<int> status(Context& context) {
  auto config = context.config();
  if (!config) return config.error();
  SwitchClient the_switch = switch_client(*config);
  const auto switch_status = the_switch.call(&api::Switch::Stub::GetStatus, api::SwitchStatusRequest());
  const auto agent_status = agent_client(*config).call(&api::Agent::Stub::GetStatus, api::AgentStatusRequest());
  const bool healthy =
      switch_status.ok() && agent_status.ok() && agent_status->ready() && agent_status->switch_connected();
  if (context.json()) {
    fmt::print("{}", json_text({{"healthy", healthy},
                                {"switch", daemon_json(switch_status)},
                                {"agent", daemon_json(agent_status)}}));
  } else {
    std::string workers;
    if (switch_status.ok())
      workers = workers_text(the_switch.call(&api::Switch::Stub::GetCounters, api::GetCountersRequest()));
    fmt::print("{}{}{}", switch_text(switch_status), workers, agent_text(agent_status));
  }
  return healthy ? 0 : 1;
}

}  // namespace

void add_status(CLI::App& app, Context& context) {
  CLI::App* command = add_command(app, context, "status",
                                  "Say how both daemons are; the exit status is 0 only when both are well", status);
  add_output_option(*command, context);
}

}  // namespace millrace::control::cli
