// What `millrace counters -o prometheus` prints: the text format of Prometheus, line by line.
#include "control/cli/metrics_text.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>

namespace millrace::control::cli {
namespace {

api::SwitchStatus status() {
  api::SwitchStatus made;
  made.set_generation(7);
  made.set_packets_free(100);
  made.set_packets_limit(128);
  api::TableStatus& table = *made.add_tables();
  table.set_name("flows_ipv4");
  table.set_used(3);
  table.set_limit(1000);
  return made;
}

api::GetCountersReply counters() {
  api::GetCountersReply made;
  for (const std::uint32_t id : {0u, 1u}) {
    api::WorkerCounters& worker = *made.add_workers();
    worker.set_worker(id);
    worker.set_loops(50);
    worker.set_busy_loops(5);
    worker.mutable_flows()->set_created(70);
    worker.mutable_flows()->set_ended(60);
    worker.mutable_flows()->set_evicted(9);
    api::PortCounters& port = *worker.add_ports();
    port.set_port("p1");
    port.mutable_totals()->set_rx_packets(10);
    port.mutable_totals()->set_rx_bytes(1000);
    (*port.mutable_totals()->mutable_drops())["tunnel_unresolved"] = 3;
  }
  (*made.mutable_guest_memory_losses())["p1"] = 2;
  (*made.mutable_guest_refusals())["p1"] = 8;
  return made;
}

api::ListTunnelsReply tunnels(const std::string& name) {
  api::ListTunnelsReply made;
  api::TunnelStatus& tunnel = *made.add_tunnels();
  tunnel.mutable_spec()->set_name(name);
  tunnel.mutable_spec()->set_remote(std::string("\xc0\x00\x02\x02", 4));
  tunnel.set_state(api::TUNNEL_STATE_UP);
  tunnel.set_encapsulation(api::ENCAPSULATION_VXLAN);
  tunnel.set_mtu(1450);
  tunnel.set_tx_packets(4);
  tunnel.set_rx_bytes(512);
  return made;
}

std::set<std::string> lines(const std::string& text) {
  std::istringstream in(text);
  std::set<std::string> found;
  for (std::string line; std::getline(in, line);) found.insert(line);
  return found;
}

TEST(MetricsText, HasPortsDropsTablesAndTunnels) {
  const std::set<std::string> found = lines(metrics_text(status(), counters(), tunnels("node-2")));
  for (const char* line :
       {"# TYPE millrace_port_packets_total counter",
        "# TYPE millrace_tunnel_up gauge",
        "millrace_generation 7",
        "millrace_packets_free 100",
        "millrace_table_entries{table=\"flows_ipv4\"} 3",
        "millrace_table_limit{table=\"flows_ipv4\"} 1000",
        "millrace_port_packets_total{port=\"p1\",direction=\"rx\"} 20",
        "millrace_port_bytes_total{port=\"p1\",direction=\"rx\"} 2000",
        "millrace_port_packets_total{port=\"(removed)\",direction=\"tx\"} 0",
        "millrace_port_dropped_packets_total{port=\"p1\",reason=\"tunnel_unresolved\"} 6",
        "millrace_port_guest_memory_losses_total{port=\"p1\"} 2",
        "millrace_port_guest_refusals_total{port=\"p1\"} 8",
        "millrace_worker_loops_total{worker=\"1\",kind=\"busy\"} 5",
        "millrace_flows_created_total{worker=\"1\"} 70",
        "millrace_flows_ended_total{worker=\"0\"} 60",
        "millrace_flows_evicted_total{worker=\"1\"} 9",
        "millrace_tunnel_up{tunnel=\"node-2\",remote=\"192.0.2.2\",encapsulation=\"vxlan\",state=\"up\"} 1",
        "millrace_tunnel_mtu_bytes{tunnel=\"node-2\"} 1450",
        "millrace_tunnel_packets_total{tunnel=\"node-2\",direction=\"tx\"} 4",
        "millrace_tunnel_bytes_total{tunnel=\"node-2\",direction=\"rx\"} 512"}) {
    EXPECT_TRUE(found.contains(line)) << line;
  }
}

TEST(MetricsText, AWayThatIsNotUpSaysWhy) {
  api::ListTunnelsReply list = tunnels("node-2");
  list.mutable_tunnels(0)->set_state(api::TUNNEL_STATE_NO_NEIGHBOR);
  EXPECT_TRUE(lines(metrics_text(status(), counters(), list))
                  .contains("millrace_tunnel_up{tunnel=\"node-2\",remote=\"192.0.2.2\",encapsulation=\"vxlan\","
                            "state=\"no neighbour\"} 0"));
}

TEST(MetricsText, LabelsAreEscaped) {
  EXPECT_TRUE(lines(metrics_text(status(), counters(), tunnels("a\"b\\c\nd")))
                  .contains("millrace_tunnel_mtu_bytes{tunnel=\"a\\\"b\\\\c\\nd\"} 1450"));
}

/// The format asks for that: all lines of a family in one group behind its help and type, and no line twice.
TEST(MetricsText, FamiliesLieTogether) {
  std::istringstream in(metrics_text(status(), counters(), tunnels("node-2")));
  std::set<std::string> families, seen;
  std::string family;
  for (std::string line; std::getline(in, line);) {
    EXPECT_TRUE(seen.insert(line).second) << line;
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(families.insert(family).second) << family << " begins twice";
    } else if (!line.starts_with("# TYPE " + family + " ")) {
      EXPECT_EQ(line.substr(0, line.find_first_of("{ ")), family);
    }
  }
  EXPECT_GT(families.size(), 10u);
}

}  // namespace
}  // namespace millrace::control::cli
