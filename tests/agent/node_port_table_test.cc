// The node's own way to node ports: which rows a Service has, and what the real kernel, in a network namespace of its
// own, then holds. The latter needs root.
#include "control/agent/services/node_port_table.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>

#include <memory>
#include <sstream>
#include <thread>

#include "control/agent/nftables.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent::services {
namespace {

const std::vector<net::Prefix> kRanges = {*net::Prefix::parse("10.96.0.0/12"), *net::Prefix::parse("fd00:10:96::/112")};

kube::Service node_port_service(const std::string& name = "web") {
  kube::Service made;
  made.meta.name = name;
  made.meta.name_space = "default";
  made.type = kube::ServiceType::kNodePort;
  for (const char* address : {"10.96.0.7", "fd00:10:96::7"}) {
    made.cluster_ips.push_back(*net::IpAddress::parse(address));
  }
  for (const auto& [port_name, protocol, port, node_port] :
       {std::tuple{"http", kube::Protocol::kTcp, 80, 30080}, {"dns", kube::Protocol::kUdp, 53, 30053}}) {
    kube::ServicePort one;
    one.name = port_name;
    one.protocol = protocol;
    one.port = static_cast<std::uint16_t>(port);
    one.node_port = static_cast<std::uint16_t>(node_port);
    made.ports.push_back(one);
  }
  return made;
}

std::string text_of(const NodePortRows& rows) {
  std::string text;
  for (const auto& [from, to] : rows) {
    text += std::to_string(from.protocol) + "/" + std::to_string(from.port) + ">" + to.address.to_string() + " " +
            std::to_string(to.port) + ";";
  }
  return text;
}

struct Row {
  const char* about;
  void (*change)(kube::Service&);
  const char* ipv4;
  const char* ipv6;
};

const char* const kBoth4 = "6/30080>10.96.0.7 80;17/30053>10.96.0.7 53;";
const char* const kBoth6 = "6/30080>fd00:10:96::7 80;17/30053>fd00:10:96::7 53;";

const Row kRows[] = {
    {"type NodePort", [](kube::Service&) {}, kBoth4, kBoth6},
    {"type LoadBalancer", [](kube::Service& s) { s.type = kube::ServiceType::kLoadBalancer; }, kBoth4, kBoth6},
    {"type ClusterIP", [](kube::Service& s) { s.type = kube::ServiceType::kClusterIp; }, "", ""},
    {"a LoadBalancer with a port that has no node port",
     [](kube::Service& s) {
       s.type = kube::ServiceType::kLoadBalancer;
       s.ports[0].node_port = 0;
     },
     "17/30053>10.96.0.7 53;", "17/30053>fd00:10:96::7 53;"},
    {"SCTP", [](kube::Service& s) { s.ports = {s.ports[0]}, s.ports[0].protocol = kube::Protocol::kSctp; },
     "132/30080>10.96.0.7 80;", "132/30080>fd00:10:96::7 80;"},
    {"one family", [](kube::Service& s) { s.cluster_ips.pop_back(); }, kBoth4, ""},
    {"no ClusterIP", [](kube::Service& s) { s.cluster_ips.clear(); }, "", ""},
    {"a ClusterIP that is not routed to the switch",
     [](kube::Service& s) { s.cluster_ips[0] = *net::IpAddress::parse("10.200.0.7"); }, "", kBoth6},
    {"another proxy's", [](kube::Service& s) { s.meta.labels[std::string(kube::kServiceProxyNameLabel)] = "other"; },
     "", ""},
};

TEST(NodePortRowsTest, are_those_of_services_with_node_ports_and_a_cluster_ip) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.about);
    kube::Service service = node_port_service();
    row.change(service);
    EXPECT_EQ(text_of(node_port_rows(service, 4, kRanges)), row.ipv4);
    EXPECT_EQ(text_of(node_port_rows(service, 6, kRanges)), row.ipv6);
  }
}

TEST(NodePortRowsTest, are_replaced_in_one_transaction) {
  const NodePortRows rows = node_port_rows(node_port_service(), 6, kRanges);
  EXPECT_EQ(node_port_rows_commands("millrace-m0", 6, rows),
            "flush map ip6 millrace-m0 ports\n"
            "add element ip6 millrace-m0 ports { 6 . 30080 : fd00:10:96::7 . 80, 17 . 30053 : fd00:10:96::7 . 53 }\n");
}

ObjectChange change(const kube::Service* before, const kube::Service* after) {
  const auto ref = [](const kube::Service* service) {
    return service != nullptr ? std::make_shared<const kube::Object>(*service) : nullptr;
  };
  const kube::Service& any = after != nullptr ? *after : *before;
  return {{kube::Kind::kService, any.meta.name_space, any.meta.name}, ref(before), ref(after)};
}

/// What nft(8) prints of one table; "" without it.
std::string listed(const std::string& table) {
  std::string text;
  FILE* pipe = popen(("nft list table " + table + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return text;
  char buffer[256];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) text += buffer;
  pclose(pipe);
  return text;
}

bool has(const std::string& table, const std::string& part) { return listed(table).find(part) != std::string::npos; }

class NodePortTableTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!enter_private_netns()) GTEST_SKIP() << "needs the right to make network namespaces";
  }
  const kube::Service web_ = node_port_service();
};

TEST_F(NodePortTableTest, is_there_while_a_service_has_a_node_port) {
  NodePortTable table("m0", kRanges);
  table.settle();
  EXPECT_EQ(listed("ip millrace-m0"), "") << "no connection tracking for nothing";
  table.note(change(nullptr, &web_));
  table.settle();
  EXPECT_TRUE(has("ip millrace-m0", "tcp . 30080 : 10.96.0.7 . 80")) << listed("ip millrace-m0");
  EXPECT_TRUE(has("ip millrace-m0", "udp . 30053 : 10.96.0.7 . 53"));
  EXPECT_TRUE(has("ip millrace-m0", "type nat hook output"));
  EXPECT_TRUE(has("ip6 millrace-m0", "tcp . 30080 : fd00:10:96::7 . 80")) << listed("ip6 millrace-m0");

  kube::Service moved = web_;
  moved.ports[0].node_port = 30081;
  moved.cluster_ips.pop_back();
  table.note(change(&web_, &moved));
  table.settle();
  EXPECT_TRUE(has("ip millrace-m0", "tcp . 30081 : 10.96.0.7 . 80"));
  EXPECT_FALSE(has("ip millrace-m0", "30080"));
  EXPECT_EQ(listed("ip6 millrace-m0"), "") << "no ClusterIP of this family any more";
  table.note(change(&moved, nullptr));
  table.settle();
  EXPECT_EQ(listed("ip millrace-m0"), "");
}

TEST_F(NodePortTableTest, a_start_replaces_what_was_left) {
  for (const char* family : {"ip", "ip6"}) {
    ASSERT_TRUE(
        run_nftables(std::string("table ") + family + " millrace-m0 { map ports { type mark : mark; }; }").ok());
    ASSERT_TRUE(run_nftables(std::string("table ") + family + " millrace-m1 { }").ok());
  }
  NodePortTable table("m0", kRanges);
  kube::Service ipv4 = web_;
  ipv4.cluster_ips.pop_back();
  table.note(change(nullptr, &ipv4));
  table.settle();
  EXPECT_TRUE(has("ip millrace-m0", "tcp . 30080 : 10.96.0.7 . 80"));
  EXPECT_EQ(listed("ip6 millrace-m0"), "");
  EXPECT_NE(listed("ip millrace-m1"), "") << "another instance's";
  ASSERT_TRUE(remove_node_port_tables("m0").ok());
  ASSERT_TRUE(remove_node_port_tables("m0").ok()) << "again";
  EXPECT_EQ(listed("ip millrace-m0"), "");
  EXPECT_NE(listed("ip6 millrace-m1"), "");
}

TEST_F(NodePortTableTest, comes_back_when_somebody_flushed_the_rule_set) {
  NodePortTable table("m0", kRanges);
  table.note(change(nullptr, &web_));
  table.settle();
  ASSERT_TRUE(run_nftables("flush ruleset").ok());
  kube::Service other = node_port_service("other");
  for (kube::ServicePort& port : other.ports) port.node_port += 100;
  table.note(change(nullptr, &other));
  table.settle();
  for (const char* row : {"tcp . 30080", "tcp . 30180"}) EXPECT_TRUE(has("ip millrace-m0", row)) << row;
}

TEST_F(NodePortTableTest, switched_off_takes_away_what_was_left_and_has_no_rows) {
  ASSERT_TRUE(run_nftables("add table ip millrace-m0").ok());
  NodePortTable table("m0", {});
  table.note(change(nullptr, &web_));
  table.settle();
  EXPECT_EQ(listed("ip millrace-m0"), "");
}

TEST_F(NodePortTableTest, a_kernel_that_refuses_is_told_of_once) {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  std::thread([&] {  // rights are a thread's own
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    ASSERT_EQ(syscall(SYS_capset, &header, none), 0);
    NodePortTable table("m0", kRanges);
    table.note(change(nullptr, &web_));
    table.settle();
    table.note(change(&web_, nullptr));
    table.settle();
    table.note(change(nullptr, &web_));
    table.settle();
  })
      .join();
  spdlog::set_default_logger(before);
  const std::string text = log.str();
  const std::size_t first = text.find("services.nodePortsFromNode");
  ASSERT_NE(first, std::string::npos) << text;
  EXPECT_EQ(text.find("services.nodePortsFromNode", first + 1), std::string::npos) << text;
  EXPECT_EQ(listed("ip millrace-m0"), "");
}

}  // namespace
}  // namespace millrace::control::agent::services
