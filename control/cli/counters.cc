// millrace counters
#include "control/cli/counters.h"

#include <map>

#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/message_json.h"
#include "control/cli/metrics_text.h"
#include "control/cli/table.h"

namespace millrace::control::cli {

namespace {

constexpr const char* kPrometheus = "prometheus";

void add_to(api::PortTotals& sum, const api::PortTotals& totals) {
  sum.set_rx_packets(sum.rx_packets() + totals.rx_packets());
  sum.set_rx_bytes(sum.rx_bytes() + totals.rx_bytes());
  sum.set_tx_packets(sum.tx_packets() + totals.tx_packets());
  sum.set_tx_bytes(sum.tx_bytes() + totals.tx_bytes());
  sum.set_answered(sum.answered() + totals.answered());
  sum.set_created(sum.created() + totals.created());
  sum.set_denied(sum.denied() + totals.denied());
  for (const auto& [reason, count] : totals.drops()) (*sum.mutable_drops())[reason] += count;
}

std::string port_table(const PortRows& rows) {
  const auto right = Table::Align::kRight;
  Table table({{"PORT"},
               {"RX-PACKETS", right},
               {"RX-BYTES", right},
               {"TX-PACKETS", right},
               {"TX-BYTES", right},
               {"ANSWERED", right},
               {"CREATED", right},
               {"DENIED", right},
               {"DROPPED", right}});
  for (const auto& [name, totals] : rows) {
    table.add({name, std::to_string(totals.rx_packets()), std::to_string(totals.rx_bytes()),
               std::to_string(totals.tx_packets()), std::to_string(totals.tx_bytes()),
               std::to_string(totals.answered()), std::to_string(totals.created()), std::to_string(totals.denied()),
               std::to_string(drops_of(totals))});
  }
  return table.to_string();
}

std::string drop_table(const PortRows& rows, const google::protobuf::Map<std::string, std::string>& texts) {
  Table table({{"PORT"}, {"DROP"}, {"PACKETS", Table::Align::kRight}, {"WHY"}});
  for (const auto& [name, totals] : rows) {
    const std::map<std::string, std::uint64_t> sorted(totals.drops().begin(), totals.drops().end());
    for (const auto& [reason, count] : sorted) {
      const auto text = texts.find(reason);
      table.add({name, reason, std::to_string(count), text == texts.end() ? "" : text->second});
    }
  }
  return table.empty() ? "no packet was dropped\n" : table.to_string();
}

std::string worker_table(const api::GetCountersReply& counters) {
  const auto right = Table::Align::kRight;
  Table table({{"WORKER", right},
               {"CPU", right},
               {"PORTS", right},
               {"LOOPS", right},
               {"BUSY", right},
               {"SLEEPS", right},
               {"WAKEUPS", right}});
  for (const auto& worker : counters.workers()) {
    table.add({std::to_string(worker.worker()), std::to_string(worker.cpu()), std::to_string(worker.ports_size()),
               std::to_string(worker.loops()), std::to_string(worker.busy_loops()), std::to_string(worker.sleeps()),
               std::to_string(worker.wakeups())});
  }
  return table.to_string();
}

net::Result<int> metrics(SwitchClient& client, const api::GetCountersReply& counters) {
  const auto status = client.call(&api::Switch::Stub::GetStatus, api::SwitchStatusRequest());
  if (!status) return status.error();
  const auto tunnels = client.call(&api::Switch::Stub::ListTunnels, api::ListTunnelsRequest());
  if (!tunnels) return tunnels.error();
  fmt::print("{}", metrics_text(*status, counters, *tunnels));
  return 0;
}

net::Result<int> counters(Context& context) {
  auto config = context.config();
  if (!config) return config.error();
  SwitchClient client = switch_client(*config);
  auto reply = client.call(&api::Switch::Stub::GetCounters, api::GetCountersRequest());
  if (!reply) return reply.error();
  if (context.output == kPrometheus) return metrics(client, *reply);
  fmt::print("{}", context.json() ? json_text(to_json(*reply)) : counters_text(*reply));
  return 0;
}

}  // namespace

PortRows port_rows(const api::GetCountersReply& counters) {
  std::map<std::string, api::PortTotals> sums;
  for (const auto& worker : counters.workers()) {
    for (const auto& port : worker.ports()) add_to(sums[port.port()], port.totals());
  }
  PortRows rows(sums.begin(), sums.end());
  rows.emplace_back("(removed)", counters.removed_ports());
  return rows;
}

std::uint64_t drops_of(const api::PortTotals& totals) {
  std::uint64_t sum = 0;
  for (const auto& [reason, count] : totals.drops()) sum += count;
  return sum;
}

std::string drops_text(const api::PortTotals& totals) {
  std::string out;
  for (const auto& [reason, count] :
       std::map<std::string, std::uint64_t>(totals.drops().begin(), totals.drops().end())) {
    out += fmt::format("{}{}={}", out.empty() ? "" : " ", reason, count);
  }
  return out;
}

std::string counters_text(const api::GetCountersReply& counters) {
  const auto rows = port_rows(counters);
  return port_table(rows) + "\n" + drop_table(rows, counters.drop_texts()) + "\n" + worker_table(counters);
}

void add_counters(CLI::App& app, Context& context) {
  CLI::App* command =
      add_command(app, context, "counters", "Count packets by port and worker, and drops by name", counters);
  add_output_option(*command, context, {kPrometheus});
}

}  // namespace millrace::control::cli
