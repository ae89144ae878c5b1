#include "control/cli/metrics_text.h"

#include <fmt/format.h>

#include <initializer_list>
#include <map>
#include <string_view>
#include <utility>

#include "control/cli/counters.h"
#include "control/cli/message_json.h"
#include "control/cli/node_text.h"

namespace millrace::control::cli {

namespace {

using Label = std::pair<const char*, std::string>;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

class Metrics {
 public:
  /// The families' lines must lie together.
  void family(const char* name, const char* type, const char* help) {
    name_ = name;
    text_ += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
  }
  void add(std::initializer_list<Label> labels, std::uint64_t value) {
    std::string list;
    for (const auto& [label, of] : labels)
      list += fmt::format("{}{}=\"{}\"", list.empty() ? "" : ",", label, escaped(of));
    text_ += list.empty() ? fmt::format("{} {}\n", name_, value) : fmt::format("{}{{{}}} {}\n", name_, list, value);
  }
  std::string text() && { return std::move(text_); }

 private:
  const char* name_ = "";
  std::string text_;
};

void add_switch(const api::SwitchStatus& status, Metrics& out) {
  out.family("millrace_generation", "counter", "Changes of the switch that are in force.");
  out.add({}, status.generation());
  out.family("millrace_packets_free", "gauge", "Packets of the pool that nobody has.");
  out.add({}, status.packets_free());
  out.family("millrace_packets_limit", "gauge", "Packets of the pool.");
  out.add({}, status.packets_limit());
  out.family("millrace_table_entries", "gauge", "Entries of a table that can fill up.");
  for (const api::TableStatus& table : status.tables()) out.add({{"table", table.name()}}, table.used());
  out.family("millrace_table_limit", "gauge", "Entries that the table has room for.");
  for (const api::TableStatus& table : status.tables()) out.add({{"table", table.name()}}, table.limit());
}

void add_ports(const PortRows& rows, Metrics& out) {
  out.family("millrace_port_packets_total", "counter", "Packets that came by a port (rx) and left by it (tx).");
  for (const auto& [port, totals] : rows) {
    out.add({{"port", port}, {"direction", "rx"}}, totals.rx_packets());
    out.add({{"port", port}, {"direction", "tx"}}, totals.tx_packets());
  }
  out.family("millrace_port_bytes_total", "counter", "Bytes that came by a port (rx) and left by it (tx).");
  for (const auto& [port, totals] : rows) {
    out.add({{"port", port}, {"direction", "rx"}}, totals.rx_bytes());
    out.add({{"port", port}, {"direction", "tx"}}, totals.tx_bytes());
  }
  out.family("millrace_port_dropped_packets_total", "counter",
             "Packets that were dropped, by the port they came by and why.");
  for (const auto& [port, totals] : rows) {
    const std::map<std::string, std::uint64_t> sorted(totals.drops().begin(), totals.drops().end());
    for (const auto& [reason, count] : sorted) out.add({{"port", port}, {"reason", reason}}, count);
  }
}

template <typename Counts>
void add_by_port(const Counts& counts, Metrics& out) {
  for (const auto& [port, count] : std::map<std::string, std::uint64_t>(counts.begin(), counts.end())) {
    out.add({{"port", port}}, count);
  }
}

void add_guests(const api::GetCountersReply& counters, Metrics& out) {
  out.family("millrace_port_guest_memory_losses_total", "counter",
             "Guests of a vhost-user port that took back the memory they had lent.");
  add_by_port(counters.guest_memory_losses(), out);
  out.family("millrace_port_guest_refusals_total", "counter",
             "Messages of a vhost-user port's guests that were refused, and guests that kept the switch waiting.");
  add_by_port(counters.guest_refusals(), out);
}

void add_workers(const api::GetCountersReply& counters, Metrics& out) {
  out.family("millrace_worker_loops_total", "counter",
             "Turns of a worker, and those of them in which it had a packet.");
  for (const api::WorkerCounters& worker : counters.workers()) {
    out.add({{"worker", std::to_string(worker.worker())}, {"kind", "all"}}, worker.loops());
    out.add({{"worker", std::to_string(worker.worker())}, {"kind", "busy"}}, worker.busy_loops());
  }
  out.family("millrace_flows_created_total", "counter", "Flows that began.");
  for (const api::WorkerCounters& worker : counters.workers())
    out.add({{"worker", std::to_string(worker.worker())}}, worker.flows().created());
  out.family("millrace_flows_ended_total", "counter", "Flows that ended, for whatever reason.");
  for (const api::WorkerCounters& worker : counters.workers())
    out.add({{"worker", std::to_string(worker.worker())}}, worker.flows().ended());
  out.family("millrace_flows_evicted_total", "counter",
             "Flows of those ended that were closed or half open and given up because the table was nearly full.");
  for (const api::WorkerCounters& worker : counters.workers())
    out.add({{"worker", std::to_string(worker.worker())}}, worker.flows().evicted());
}

void add_tunnels(const api::ListTunnelsReply& tunnels, Metrics& out) {
  out.family("millrace_tunnel_up", "gauge",
             "1 while packets can leave by the way to another node; else `state` says why not.");
  for (const api::TunnelStatus& tunnel : tunnels.tunnels()) {
    out.add({{"tunnel", tunnel.spec().name()},
             {"remote", address_text(tunnel.spec().remote())},
             {"encapsulation", encapsulation_text(tunnel.encapsulation())},
             {"state", state_text(tunnel.state())}},
            tunnel.state() == api::TUNNEL_STATE_UP ? 1 : 0);
  }
  out.family("millrace_tunnel_mtu_bytes", "gauge", "The largest packet of a pod that fits; 0 while the way is not up.");
  for (const api::TunnelStatus& tunnel : tunnels.tunnels()) out.add({{"tunnel", tunnel.spec().name()}}, tunnel.mtu());
  out.family("millrace_tunnel_packets_total", "counter",
             "Packets of pods that came from another node (rx) and went there (tx).");
  for (const api::TunnelStatus& tunnel : tunnels.tunnels()) {
    out.add({{"tunnel", tunnel.spec().name()}, {"direction", "rx"}}, tunnel.rx_packets());
    out.add({{"tunnel", tunnel.spec().name()}, {"direction", "tx"}}, tunnel.tx_packets());
  }
  out.family("millrace_tunnel_bytes_total", "counter", "Bytes of these, without what they were put into.");
  for (const api::TunnelStatus& tunnel : tunnels.tunnels()) {
    out.add({{"tunnel", tunnel.spec().name()}, {"direction", "rx"}}, tunnel.rx_bytes());
    out.add({{"tunnel", tunnel.spec().name()}, {"direction", "tx"}}, tunnel.tx_bytes());
  }
}

}  // namespace

std::string metrics_text(const api::SwitchStatus& status, const api::GetCountersReply& counters,
                         const api::ListTunnelsReply& tunnels) {
  Metrics out;
  add_switch(status, out);
  add_ports(port_rows(counters), out);
  add_guests(counters, out);
  add_workers(counters, out);
  add_tunnels(tunnels, out);
  return std::move(out).text();
}

}  // namespace millrace::control::cli
