// Tables, JSON and drawings, from replies as the daemons give them.
#include <gtest/gtest.h>

#include "control/api/agent.pb.h"
#include "control/api/switch.pb.h"
#include "control/cli/counters.h"
#include "control/cli/message_json.h"
#include "control/cli/pod_resolver.h"
#include "control/cli/table.h"
#include "control/cli/topology.h"

namespace millrace::control::cli {
namespace {

TEST(Table, AlignsColumnsAndLeavesNoTrailingSpace) {
  Table table({{"NAME"}, {"PACKETS", Table::Align::kRight}, {"WHY"}});
  EXPECT_TRUE(table.empty());
  table.add({"a-long-name", "7", ""});
  table.add({"b", "123456789", "short"});
  EXPECT_EQ(table.to_string(),
            "NAME           PACKETS  WHY\n"
            "a-long-name          7  -\n"
            "b            123456789  short\n");
}

TEST(Resolver, SaysWhatTheCniResultSays) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {R"({"dns":{"nameservers":["10.96.0.10","fd00::a"],"domain":"cluster.local","search":["a.svc.x","x"],)"
       R"("options":["ndots:5"]}})",
       "nameserver 10.96.0.10\nnameserver fd00::a\nsearch a.svc.x x\noptions ndots:5\n"},
      {R"({"dns":{"nameservers":["10.96.0.10"]}})", "nameserver 10.96.0.10\n"},
      {R"({"dns":{"search":["x"]}})", ""},
      {R"({"dns":{}})", ""},
      {"{}", ""},
      {"null", ""}};
  for (const auto& [result, text] : rows) EXPECT_EQ(resolver_text(nlohmann::json::parse(result)), text) << result;
}

TEST(Table, Durations) {
  const std::vector<std::pair<std::uint64_t, std::string>> rows = {
      {0, "0ms"}, {999, "999ms"}, {12'345, "12s"}, {61'000, "1m 1s"}, {3'600'000, "1h 0m"}, {90'000'000, "1d 1h"}};
  for (const auto& [milliseconds, text] : rows) EXPECT_EQ(duration_text(milliseconds), text);
}

TEST(MessageJson, HasEveryFieldOfTheProtoWithNumbersAsNumbers) {
  api::PortStatus port;
  port.mutable_spec()->set_name("p");
  port.mutable_spec()->set_kind(api::PORT_KIND_POD);
  port.mutable_spec()->set_mac(std::string("\x02\0\0\0\0\x07", 6));
  port.mutable_spec()->add_addresses(std::string("\x0a\0\0\x01", 4));
  port.mutable_spec()->add_addresses(std::string("\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16));
  port.mutable_totals()->set_rx_packets(18446744073709551615u);
  (*port.mutable_totals()->mutable_drops())["no_route"] = 2;
  (*port.mutable_totals()->mutable_drops())["arp_bad"] = 1;
  const auto json = to_json(port);
  const auto& spec = json["spec"];
  EXPECT_EQ(spec["name"], "p");
  EXPECT_EQ(spec["kind"], "pod");
  EXPECT_EQ(spec["mac"], "02:00:00:00:00:07");
  EXPECT_EQ(spec["addresses"].dump(), R"(["10.0.0.1","fd00::1"])");
  EXPECT_EQ(spec["prefixes"].dump(), "[]");
  EXPECT_EQ(spec["mtu"].dump(), "0");
  EXPECT_EQ(spec["description"].dump(), R"("")");
  EXPECT_EQ(spec["await_policy"].dump(), "false");
  EXPECT_EQ(spec.begin().key(), "name") << "in the order of the proto";
  EXPECT_EQ(spec.size(), static_cast<std::size_t>(api::PortSpec::descriptor()->field_count()));
  EXPECT_EQ(json["totals"]["rx_packets"].dump(), "18446744073709551615");
  EXPECT_EQ(json["totals"]["tx_packets"].dump(), "0");
  EXPECT_EQ(json["totals"]["drops"].dump(), R"({"arp_bad":1,"no_route":2})");
  EXPECT_EQ(json.size(), static_cast<std::size_t>(api::PortStatus::descriptor()->field_count()));
}

TEST(MessageJson, UnsetMessageIsNullAndBrokenTextIsReplaced) {
  api::Pod pod;
  pod.mutable_labels()->insert({"app", "web"});
  EXPECT_TRUE(to_json(pod)["key"].is_null());
  EXPECT_EQ(to_json(pod)["labels"]["app"], "web");
  EXPECT_EQ(json_text({{"a", "\xff"}}), "{\n  \"a\": \"\xef\xbf\xbd\"\n}\n");
}

TEST(Counters, SumsAPortOverItsWorkersAndExplainsDrops) {
  api::GetCountersReply counters;
  for (std::uint32_t id : {0u, 1u}) {
    api::WorkerCounters& worker = *counters.add_workers();
    worker.set_worker(id);
    worker.set_cpu(id + 2);
    api::PortCounters& port = *worker.add_ports();
    port.set_port("p1");
    port.mutable_totals()->set_rx_packets(10);
    port.mutable_totals()->set_denied(2);
    (*port.mutable_totals()->mutable_drops())["no_route"] = 3;
  }
  counters.mutable_removed_ports()->set_tx_packets(5);
  (*counters.mutable_drop_texts())["no_route"] = "no route to the destination";
  EXPECT_EQ(counters_text(counters),
            "PORT       RX-PACKETS  RX-BYTES  TX-PACKETS  TX-BYTES  ANSWERED  CREATED  DENIED  DROPPED\n"
            "p1                 20         0           0         0         0        0       4        6\n"
            "(removed)           0         0           5         0         0        0       0        0\n"
            "\n"
            "PORT  DROP      PACKETS  WHY\n"
            "p1    no_route        6  no route to the destination\n"
            "\n"
            "WORKER  CPU  PORTS  LOOPS  BUSY  SLEEPS  WAKEUPS\n"
            "     0    2      1      0     0       0        0\n"
            "     1    3      1      0     0       0        0\n");
}

TEST(Topology, DrawsNodesCoresAndSiblings) {
  api::Topology topology;
  topology.set_uplink("eth0");
  topology.set_uplink_numa_node(1);
  const auto add = [&](std::uint32_t cpu, std::uint32_t core, int node, bool allowed, const char* role,
                       const char* why) {
    api::TopologyCpu& entry = *topology.add_cpus();
    entry.set_cpu(cpu);
    entry.set_core(core);
    entry.set_numa_node(node);
    entry.set_allowed(allowed);
    entry.set_role(role);
    entry.set_why(why);
  };
  add(0, 0, 0, true, "control", "far from the uplink");
  add(1, 1, 1, true, "worker 0", "near the uplink");
  add(2, 2, 1, false, "", "");
  add(3, 1, 1, true, "", "sibling of worker 0");
  topology.add_reasons("1 worker: one near core");
  EXPECT_EQ(draw(topology),
            "NUMA node 0\n"
            "`-- core 0\n"
            "    `-- cpu 0    control      far from the uplink\n"
            "NUMA node 1 (uplink eth0)\n"
            "|-- core 1\n"
            "|   |-- cpu 1    worker 0     near the uplink\n"
            "|   `-- cpu 3    not used     sibling of worker 0\n"
            "`-- core 2\n"
            "    `-- cpu 2    not allowed\n"
            "\nWhy:\n"
            "- 1 worker: one near core\n");
}

}  // namespace
}  // namespace millrace::control::cli
