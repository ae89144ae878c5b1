// ListFlows and FlushFlows over real workers' flows: what is told of one, by filter, in batches, over the socket; and
// how they end.
#include "control/switch/flow_list.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "tests/net/packet_builder.h"
#include "tests/switch/switch_server.h"
#include "tests/switch/test_services.h"

namespace millrace::control::switchd {
namespace {

using tests::Bytes;
using tests::eth;

std::string mac_text(const api::PortSpec& port) {
  net::Mac mac;
  std::memcpy(mac.bytes.data(), port.mac().data(), mac.bytes.size());
  return mac.to_string();
}

class FlowListTest : public ServiceTest {
 protected:
  void SetUp() override {
    ServiceTest::SetUp();
    client_ = pod("client", {"10.0.0.1"});
    client_.set_masquerade(true);
    api::ApplyRequest request = upsert({client_, pod("server", {"10.0.0.2"}), host("host", {"0.0.0.0/0"})});
    request.mutable_nat()->set_masquerade_ipv4(bytes_of("192.0.2.1"));
    *request.add_upsert_services() = service("default/web", "10.96.0.1", 80, {"10.0.0.2"});
    const auto reply = sw_.apply(request);
    ASSERT_TRUE(reply.ok()) << reply.error().message;
  }

  void send(const Bytes& frame, const char* device = "veth-client") {
    net::Packet* packet = sw_.pool.allocate();
    ASSERT_NE(packet, nullptr);
    std::memcpy(packet->data, frame.data(), frame.size());
    packet->head_bytes = packet->length_bytes = static_cast<std::uint32_t>(frame.size());
    ASSERT_EQ(sw_.opener.device(device)->offer({&packet, 1}), 1u);
    sw_.step();
    sw_.step();  // a worker that was asked by another answers in its next turn
    drain();
  }
  void drain() {
    std::array<net::Packet*, 64> out{};
    for (const char* name : {"veth-client", "veth-server", "veth-host"}) {
      const unsigned count = sw_.opener.device(name)->collect(out);
      sw_.pool.release({out.data(), count});
    }
  }
  /// A frame of the client's, to the gateway.
  tests::PacketBuilder from_client() const { return eth(mac_text(client_), kGatewayMac.to_string()); }

  std::vector<api::Flow> list(const api::ListFlowsRequest& request) {
    grpc::ClientContext context;
    const auto reader = stub_->ListFlows(&context, request);
    std::vector<api::Flow> flows;
    for (api::FlowBatch batch; reader->Read(&batch);) {
      EXPECT_LE(batch.flows_size(), static_cast<int>(kFlowBatch));
      flows.insert(flows.end(), batch.flows().begin(), batch.flows().end());
    }
    status_ = reader->Finish();
    return flows;
  }

  /// How many ended.
  std::uint64_t flush(const api::FlushFlowsRequest& request) {
    grpc::ClientContext context;
    api::FlushFlowsReply reply;
    status_ = stub_->FlushFlows(&context, request, &reply);
    return reply.ended();
  }
  /// Entries of a table as the status has them.
  std::uint64_t used(const std::string& table) {
    grpc::ClientContext context;
    api::SwitchStatus status;
    EXPECT_TRUE(stub_->GetStatus(&context, {}, &status).ok());
    for (const api::TableStatus& each : status.tables()) {
      if (each.name() == table) return each.used();
    }
    ADD_FAILURE() << "no table " << table;
    return 0;
  }

  api::PortSpec client_;
  grpc::Status status_;
};

TEST_F(FlowListTest, AFlowToAServiceIsToldWithItsBackendAndItsName) {
  send(from_client().ipv4("10.0.0.1", "10.96.0.1").tcp(4000, 80, net::TcpHeader::kSyn).bytes());
  const auto flows = list({});
  ASSERT_TRUE(status_.ok()) << status_.error_message();
  ASSERT_EQ(flows.size(), 1u);
  const api::Flow& flow = flows[0];
  EXPECT_EQ(flow.protocol(), 6u);
  EXPECT_EQ(flow.original().source(), bytes_of("10.0.0.1"));
  EXPECT_EQ(flow.original().destination(), bytes_of("10.96.0.1"));
  EXPECT_EQ(flow.original().source_port(), 4000u);
  EXPECT_EQ(flow.original().destination_port(), 80u);
  EXPECT_EQ(flow.translated().destination(), bytes_of("10.0.0.2"));
  EXPECT_EQ(flow.translated().destination_port(), 8080u);
  EXPECT_EQ(flow.state(), "SYN_SENT");
  EXPECT_EQ(flow.service(), "default/web");
  EXPECT_EQ(flow.out_port(), "server");
  EXPECT_FALSE(flow.masqueraded());
  EXPECT_EQ(flow.packets(), 1u);
  EXPECT_EQ(flow.bytes(), 40u);
  EXPECT_EQ(flow.reply_packets(), 0u);
  EXPECT_GT(flow.expires_ms(), 0u);
}

TEST_F(FlowListTest, AMasqueradedFlowSaysSo) {
  send(from_client().ipv4("10.0.0.1", "198.51.100.7").udp(5000, 53).payload("q").bytes());
  const auto flows = list({});
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].translated().source(), bytes_of("192.0.2.1"));
  EXPECT_GE(flows[0].translated().source_port(), 40960u);
  EXPECT_TRUE(flows[0].masqueraded());
  EXPECT_EQ(flows[0].state(), "UNREPLIED");
  EXPECT_EQ(flows[0].service(), "");
  EXPECT_EQ(flows[0].out_port(), "host");
}

TEST_F(FlowListTest, MoreFlowsThanABatchAreToldOnceEach) {
  constexpr unsigned kFlows = 900;  // of two workers, each of a limit of 1024
  for (unsigned i = 0; i < kFlows; ++i) {
    send(from_client().ipv4("10.0.0.1", "198.51.100.7").udp(static_cast<std::uint16_t>(1024 + i), 53).bytes());
  }
  send(from_client().ipv4("10.0.0.1", "10.0.0.2").udp(7, 7).bytes());
  std::set<std::uint32_t> ports;
  const auto flows = list({});
  for (const api::Flow& flow : flows) ports.insert(flow.original().source_port());
  EXPECT_EQ(flows.size(), kFlows + 1);
  EXPECT_EQ(ports.size(), kFlows + 1);

  api::ListFlowsRequest request;
  request.add_addresses(bytes_of("10.0.0.2"));
  EXPECT_EQ(list(request).size(), 1u) << "filtered by an end";
  *request.mutable_addresses(0) = bytes_of("192.0.2.1");
  EXPECT_EQ(list(request).size(), kFlows) << "filtered by a translated end";
  request.set_limit(10);
  EXPECT_EQ(list(request).size(), 10u);
}

TEST_F(FlowListTest, AWrongFilterIsNamed) {
  api::ListFlowsRequest request;
  request.add_addresses(bytes_of("10.0.0.2"));
  request.add_addresses("abc");
  EXPECT_TRUE(list(request).empty());
  EXPECT_EQ(status_.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status_.error_message(), "addresses[1]: 3 bytes; allowed: 4 (IPv4) or 16 (IPv6)");
}

TEST_F(FlowListTest, AWorkerThatDoesNotComeIsNamedAndAnswersTheNextListing) {
  send(from_client().ipv4("10.0.0.1", "10.0.0.2").udp(7, 7).bytes());
  sw_.away = {1};
  list({});
  EXPECT_EQ(status_.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(status_.error_message(), "worker 1 (CPU 1) has not told its flows within 20 ms");
  sw_.away.clear();
  sw_.step();
  EXPECT_EQ(list({}).size(), 1u);
  EXPECT_TRUE(status_.ok()) << status_.error_message();
}

TEST_F(FlowListTest, AFlushEndsAllFlowsOfAllWorkersAndTheTablesAreEmpty) {
  const api::PortSpec other = pod("other", {"10.0.0.3"});  // on the worker that has fewer ports
  ASSERT_TRUE(sw_.apply(upsert({other})).ok());
  constexpr unsigned kFlows = 300;
  for (unsigned i = 0; i < kFlows / 2; ++i) {
    const auto port = static_cast<std::uint16_t>(1024 + i);
    send(from_client().ipv4("10.0.0.1", "198.51.100.7").udp(port, 53).bytes());
    auto from_other = eth(mac_text(other), kGatewayMac.to_string());
    send(from_other.ipv4("10.0.0.3", "198.51.100.7").udp(port, 53).bytes(), "veth-other");
  }
  std::set<std::uint32_t> workers;
  for (const api::Flow& flow : list({})) workers.insert(flow.worker());
  ASSERT_EQ(workers.size(), 2u) << "both workers have some";
  EXPECT_EQ(flush({}), kFlows);
  EXPECT_TRUE(status_.ok()) << status_.error_message();
  EXPECT_TRUE(list({}).empty());
  EXPECT_EQ(used("flows_ipv4"), 0u);
  EXPECT_EQ(used("snat_ports_ipv4_udp"), 0u);
  EXPECT_EQ(flush({}), 0u);
  send(from_client().ipv4("10.0.0.1", "198.51.100.7").udp(1024, 53).bytes());
  EXPECT_EQ(list({}).size(), 1u) << "what comes next begins a flow";
}

TEST_F(FlowListTest, AFlushOfAnAddressLeavesTheOthers) {
  for (std::uint16_t i = 0; i < 20; ++i) {
    const auto port = static_cast<std::uint16_t>(1024 + i);
    send(from_client().ipv4("10.0.0.1", "198.51.100.7").udp(port, 53).bytes());
    send(from_client().ipv4("10.0.0.1", "10.96.0.1").tcp(port, 80, net::TcpHeader::kSyn).bytes());
  }
  api::FlushFlowsRequest request;
  request.add_addresses(bytes_of("10.0.0.2"));  // the backend
  EXPECT_EQ(flush(request), 20u);
  const auto left = list({});
  EXPECT_EQ(left.size(), 20u);
  for (const api::Flow& flow : left) EXPECT_EQ(flow.original().destination(), bytes_of("198.51.100.7"));
}

TEST_F(FlowListTest, AFlushWithAWrongFilterIsNamedAndEndsNothing) {
  send(from_client().ipv4("10.0.0.1", "10.0.0.2").udp(7, 7).bytes());
  api::FlushFlowsRequest request;
  request.add_addresses(bytes_of("10.0.0.2"));
  request.add_addresses("abc");
  flush(request);
  EXPECT_EQ(status_.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status_.error_message(), "addresses[1]: 3 bytes; allowed: 4 (IPv4) or 16 (IPv6)");
  request.clear_addresses();
  for (int i = 0; i <= kFlowAddressLimit; ++i) request.add_addresses(bytes_of("10.0.0.2"));
  flush(request);
  EXPECT_EQ(status_.error_message(), "addresses: 65 entries; allowed: at most 64");
  EXPECT_EQ(list({}).size(), 1u);
}

TEST_F(FlowListTest, AFlushSaysWhichWorkerDoesNotComeAndWhatHasEnded) {
  for (unsigned i = 0; i < 50; ++i) {
    send(from_client().ipv4("10.0.0.1", "10.0.0.2").udp(static_cast<std::uint16_t>(100 + i), 7).bytes());
  }
  std::size_t of_first = 0;
  for (const api::Flow& flow : list({})) of_first += flow.worker() == 0 ? 1 : 0;
  sw_.away = {1};
  flush({});
  EXPECT_EQ(status_.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(status_.error_message(),
            fmt::format("worker 1 (CPU 1) has not ended its flows within 20 ms; {} flows had ended before", of_first));
  sw_.away.clear();
  sw_.step();
  EXPECT_TRUE(list({}).empty()) << "it has done so when it came";
}

TEST_F(FlowListTest, CountersSayWhatBecameOfFlows) {
  send(from_client().ipv4("10.0.0.1", "10.0.0.2").udp(7, 7).bytes());
  grpc::ClientContext context;
  api::GetCountersReply reply;
  ASSERT_TRUE(stub_->GetCounters(&context, {}, &reply).ok());
  std::uint64_t created = 0, ended = 0;
  for (const api::WorkerCounters& worker : reply.workers()) {
    created += worker.flows().created();
    ended += worker.flows().ended();
  }
  EXPECT_EQ(created, 1u);
  EXPECT_EQ(ended, 0u);
}

}  // namespace
}  // namespace millrace::control::switchd
