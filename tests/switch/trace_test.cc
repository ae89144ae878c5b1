// What is told of a packet that is not sent: each step with its names, and the flow that is there. That the verdict is
// what happens to a packet is shown in tests/datapath/explain_test.cc.
#include "control/switch/trace.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/switch/packet_world.h"

namespace millrace::control::switchd {
namespace {

using grpc::StatusCode;

api::TraceRequest question(const std::string& source, const std::string& destination, std::uint32_t port,
                           std::uint32_t protocol = 6, std::uint32_t source_port = 0) {
  api::TraceRequest request;
  request.set_source(bytes_of(source));
  request.set_destination(bytes_of(destination));
  request.set_protocol(protocol);
  request.set_source_port(source_port);
  request.set_destination_port(port);
  return request;
}

std::string address_text(const std::string& bytes) {
  return net::IpAddress::from_bytes(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()))
      ->to_string();
}

/// "allowed ns/a[3] of ns/a,ns/b".
std::string policy_text(const api::TracePolicy& policy) {
  static const char* const kAnswers[] = {"?",      "not reached", "no pod",    "not isolated", "allowed",
                                         "denied", "from node",   "to itself", "pending"};
  std::string text = kAnswers[policy.answer()];
  if (!policy.object().empty()) text += fmt::format(" {}[{}]", policy.object(), policy.rule_index());
  for (int i = 0; i < policy.objects_size(); ++i) text += (i == 0 ? " of " : ",") + policy.objects(i);
  return text;
}

std::string text_of(const api::TraceReply& reply) {
  std::string text = fmt::format("{}/{}", reply.in().name(), reply.in().identity());
  if (reply.has_service()) {
    text +=
        fmt::format(" | {} -> {}:{} of {}", reply.service().name(),
                    reply.service().backend_address().empty() ? "-" : address_text(reply.service().backend_address()),
                    reply.service().backend_port(), reply.service().backend_count());
  }
  if (reply.has_out()) text += fmt::format(" | {}/{}", reply.out().name(), reply.out().identity());
  text += fmt::format(" | {} | {}", policy_text(reply.egress()), policy_text(reply.ingress()));
  if (!reply.masquerade().empty()) text += " | as " + address_text(reply.masquerade());
  return text + " | " + (reply.is_answered() ? "answered" : reply.drop().empty() ? "passes" : reply.drop());
}

class TraceTest : public PacketWorld {
 protected:
  void SetUp() override {
    PacketWorld::SetUp();
    api::PortSpec waiting = described_pod("waiting", "10.0.0.4");
    waiting.set_await_policy(true);
    api::PortSpec uplink = host("uplink", {});
    uplink.set_kind(api::PORT_KIND_UPLINK);
    api::ApplyRequest request = upsert({described_pod("other", "10.0.0.3"), waiting, uplink});
    *request.add_upsert_services() = service("default/node-port", "192.0.2.1", 30'080, {"10.0.0.2"});
    *request.add_upsert_services() = service("default/empty", "10.96.0.2", 80, {});
    *request.add_upsert_services() = service("default/two", "10.96.0.3", 80, {"10.0.0.3", "198.51.100.1"});
    *request.add_upsert_groups() = group("clients", {1});
    *request.add_upsert_groups() = group("servers", {2});
    *request.add_upsert_endpoints() = endpoint("10.0.0.1", 1);
    *request.add_upsert_endpoints() = endpoint("10.0.0.2", 2);
    *request.add_upsert_policies() = policy_of("out", {}, {rule(0, {}, {1}), rule(3, {"servers"}, {8080})});
    *request.add_upsert_policies() = policy_of("deny", {});
    *request.add_upsert_policies() = policy_of("in", {rule(0, {"clients"}, {1}), rule(1, {"clients"}, {8080})});
    *request.add_upsert_port_policies() = port_policy("client", {}, {"out"});
    *request.add_upsert_port_policies() = port_policy("server", {"deny", "in"});
    *request.add_upsert_port_policies() = port_policy("other", {});
    change(request);
  }
  grpc::Status ask(const api::TraceRequest& request, api::TraceReply& reply) {
    grpc::ClientContext context;
    return stub_->Trace(&context, request, &reply);
  }
};

TEST_F(TraceTest, EachStepIsToldWithItsNames) {
  struct Row {
    api::TraceRequest asked;
    std::string told;
  };
  const std::string kIn = "of ns/deny,ns/in", kOut = "of ns/out";
  const std::vector<Row> rows = {
      {question("10.0.0.1", "10.96.0.1", 80),
       "client/1 | default/web -> 10.0.0.2:8080 of 1 | server/2 | allowed ns/out[3] " + kOut + " | allowed ns/in[1] " +
           kIn + " | passes"},
      {question("10.0.0.1", "10.0.0.2", 81),
       "client/1 | server/2 | denied " + kOut + " | not reached " + kIn + " | policy_egress"},
      {question("10.0.0.3", "10.0.0.2", 8080),
       "other/0 | server/2 | not isolated | denied " + kIn + " | policy_ingress"},
      {question("192.0.2.1", "10.0.0.2", 81), "host/0 | server/2 | no pod | from node " + kIn + " | passes"},
      {question("198.51.100.9", "10.0.0.2", 81), "host/0 | server/2 | no pod | denied " + kIn + " | policy_ingress"},
      {question("198.51.100.9", "192.0.2.1", 30'080),
       "uplink/0 | default/node-port -> 10.0.0.2:8080 of 1 | server/2 | no pod | denied " + kIn + " | policy_ingress"},
      {question("10.0.0.1", "10.96.0.99", 80),
       "client/1 | not reached " + kOut + " | not reached | service_no_frontend"},
      {question("10.0.0.3", "10.96.0.2", 80),
       "other/0 | default/empty -> -:0 of 0 | not reached | not reached | service_no_backend"},
      {question("10.0.0.3", "198.51.100.7", 53, 17),
       "other/0 | host/0 | not isolated | no pod | as 192.0.2.1 | passes"},
      {question("10.0.0.3", "10.0.0.3", 53), "other/0 | not reached | not reached | same_route"},
      {question("10.0.0.2", "10.96.0.1", 80),
       "server/2 | default/web -> 10.0.0.2:8080 of 1 | server/2 | to itself | to itself " + kIn +
           " | as 192.0.2.1 | passes"},
      {question("10.0.0.4", "10.0.0.3", 80), "waiting/0 | other/0 | pending | not reached | policy_pending"},
      {question("10.0.0.3", "10.0.0.4", 80), "other/0 | waiting/0 | not isolated | pending | policy_pending"},
      {question("10.0.0.3", "198.51.100.7", 0, 1), "other/0 | host/0 | not isolated | no pod | as 192.0.2.1 | passes"},
      {question("10.0.0.3", "198.51.100.7", 0, 47),
       "other/0 | host/0 | not isolated | no pod | as 192.0.2.1 | masquerade_protocol"},
      {question("10.0.0.3", "169.254.1.1", 0, 1), "other/0 | not reached | not reached | answered"},
      {question("10.0.0.3", "169.254.1.1", 80), "other/0 | not reached | not reached | gateway_protocol"},
  };
  for (const Row& row : rows) {
    api::TraceReply reply;
    const grpc::Status status = ask(row.asked, reply);
    ASSERT_TRUE(status.ok()) << status.error_message() << " for " << row.told;
    EXPECT_EQ(text_of(reply), row.told);
    EXPECT_EQ(reply.generation(), sw_.state->generation());
    EXPECT_EQ(reply.drop_text().empty(), reply.drop().empty());
  }
}

TEST_F(TraceTest, TheBackendIsOneOfThoseBehindTheFrontend) {
  api::TraceReply reply;
  ASSERT_TRUE(ask(question("10.0.0.3", "10.96.0.3", 80, 6, 4000), reply).ok());
  EXPECT_EQ(reply.service().backend_count(), 2u);
  EXPECT_EQ(reply.service().action(), "balance");
}

TEST_F(TraceTest, WhatCannotBeAskedIsRefusedByField) {
  struct Row {
    api::TraceRequest asked;
    StatusCode code;
    std::string text;
  };
  api::TraceRequest bad_source = question("10.0.0.1", "10.0.0.2", 80);
  bad_source.set_source("abc");
  api::TraceRequest bad_destination = question("10.0.0.1", "10.0.0.2", 80);
  bad_destination.set_destination("abc");
  const std::vector<Row> rows = {
      {bad_source, StatusCode::INVALID_ARGUMENT, "source: "},
      {bad_destination, StatusCode::INVALID_ARGUMENT, "destination: 3 bytes; allowed: 4 or 16"},
      {question("10.0.0.1", "fd00::1", 80), StatusCode::INVALID_ARGUMENT,
       "destination: fd00::1 is not of the family of the source, 10.0.0.1"},
      {question("10.0.0.1", "10.0.0.2", 80, 0), StatusCode::INVALID_ARGUMENT, "protocol: 0; allowed: 1..255"},
      {question("10.0.0.1", "10.0.0.2", 0), StatusCode::INVALID_ARGUMENT, "destination_port: 0; allowed: 1..65535"},
      {question("10.0.0.1", "10.0.0.2", 65'536), StatusCode::INVALID_ARGUMENT, "destination_port: 65536; allowed: 1.."},
      {question("10.0.0.1", "10.0.0.2", 80, 6, 65'536), StatusCode::INVALID_ARGUMENT,
       "source_port: 65536; allowed: 0.."},
      {question("10.0.0.1", "10.0.0.2", 80, 47), StatusCode::INVALID_ARGUMENT, "protocol: 47 has no ports"},
      {question("10.0.0.1", "10.0.0.2", 5, 1), StatusCode::INVALID_ARGUMENT, "destination_port: an echo has one"},
      {question("fd00::5", "fd00::1", 80), StatusCode::NOT_FOUND, "source: fd00::5 is no pod's address here"},
  };
  for (const Row& row : rows) {
    api::TraceReply reply;
    const grpc::Status status = ask(row.asked, reply);
    EXPECT_EQ(status.error_code(), row.code) << row.text;
    EXPECT_TRUE(status.error_message().starts_with(row.text)) << status.error_message();
  }
}

TEST_F(TraceTest, AFlowThatIsThereIsToldFromBothOfItsEnds) {
  const api::TraceRequest asked = question("10.0.0.1", "10.96.0.1", 80);
  api::TraceReply reply;
  ASSERT_TRUE(ask(asked, reply).ok());
  EXPECT_FALSE(reply.has_flow());
  send("client", from("client").ipv4("10.0.0.1", "10.96.0.1").tcp(4000, 80, net::TcpHeader::kSyn).bytes());
  ASSERT_TRUE(ask(asked, reply).ok());
  EXPECT_EQ(reply.flow().state(), "SYN_SENT");
  EXPECT_EQ(reply.flow().original().source_port(), 4000u);
  EXPECT_FALSE(reply.is_reply());
  ASSERT_TRUE(ask(question("10.0.0.1", "10.96.0.1", 80, 6, 4001), reply).ok());
  EXPECT_FALSE(reply.has_flow()) << "of another source port";
  ASSERT_TRUE(ask(question("10.0.0.2", "10.0.0.1", 4000, 6, 8080), reply).ok());
  EXPECT_TRUE(reply.has_flow());
  EXPECT_TRUE(reply.is_reply());
}

}  // namespace
}  // namespace millrace::control::switchd
