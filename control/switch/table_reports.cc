#include "control/switch/table_reports.h"

#include <fmt/core.h>

#include <array>

namespace millrace::control::switchd {
namespace {

using datapath::FlowCounters;
using datapath::WorkerCounters;

constexpr std::array<const char*, datapath::kPortProtocols.size()> kProtocolNames = {"tcp", "udp", "sctp", "icmp"};

template <typename Get>
std::uint64_t sum(const std::vector<WorkerCounters*>& workers, Get get) {
  std::uint64_t total = 0;
  for (const WorkerCounters* worker : workers) total += get(worker->flows).get();
  return total;
}

}  // namespace

api::TableStatus table_row(std::string name, std::uint64_t used, std::uint64_t limit) {
  api::TableStatus status;
  status.set_name(std::move(name));
  status.set_used(used);
  status.set_limit(limit);
  return status;
}

std::vector<api::TableStatus> table_status(const std::vector<WorkerCounters*>& workers, const ServiceState& services) {
  std::vector<api::TableStatus> rows;
  const auto limit = sum(
      workers, [](const FlowCounters& c) -> const auto& { return c.limit; });
  rows.push_back(table_row("flows_ipv4",
                           sum(
                               workers, [](const FlowCounters& c) -> const auto& { return c.flows_v4; }),
                           limit));
  rows.push_back(table_row("flows_ipv6",
                           sum(
                               workers, [](const FlowCounters& c) -> const auto& { return c.flows_v6; }),
                           limit));
  const auto ports = sum(
      workers, [](const FlowCounters& c) -> const auto& { return c.ports_limit; });
  for (std::size_t i = 0; i < kProtocolNames.size(); ++i) {
    rows.push_back(table_row(fmt::format("snat_ports_ipv4_{}", kProtocolNames[i]),
                             sum(
                                 workers, [i](const FlowCounters& c) -> const auto& { return c.ports_v4[i]; }),
                             ports));
  }
  for (std::size_t i = 0; i < kProtocolNames.size(); ++i) {
    rows.push_back(table_row(fmt::format("snat_ports_ipv6_{}", kProtocolNames[i]),
                             sum(
                                 workers, [i](const FlowCounters& c) -> const auto& { return c.ports_v6[i]; }),
                             ports));
  }
  const nat::ServiceTable* table = services.table.get();
  rows.push_back(table_row("services", table == nullptr ? 0 : table->service_count(), nat::kMaxServices));
  rows.push_back(table_row("frontends", table == nullptr ? 0 : table->frontend_count(), nat::kMaxFrontends));
  rows.push_back(table_row("backends", table == nullptr ? 0 : table->backend_count(), nat::kMaxBackends));
  return rows;
}

void fill(const FlowCounters& counters, api::FlowTotals& totals) {
  totals.set_created(counters.created.get());
  totals.set_ended(counters.ended.get());
  totals.set_evicted(counters.evicted.get());
}

}  // namespace millrace::control::switchd
