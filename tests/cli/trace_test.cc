// The words of `millrace trace` become a question, and the switch's answer becomes lines.
#include <gtest/gtest.h>

#include "control/cli/pod_words.h"
#include "control/cli/trace_ends.h"
#include "control/cli/trace_text.h"
#include "net/address.h"

namespace millrace::control::cli {
namespace {

using Json = nlohmann::json;

net::IpAddress address(const std::string& text) { return net::IpAddress::parse(text).value(); }
std::string bytes(const std::string& text) {
  const net::IpAddress parsed = address(text);
  return {parsed.raw().begin(), parsed.raw().end()};
}

constexpr const char* kForms = "PORT/tcp, PORT/udp, PORT/sctp with PORT 1..65535, or icmp";

TEST(TraceWords, APortIsANumberAndAProtocol) {
  struct Row {
    std::string word;
    std::uint32_t protocol, port;  // 0: refused
  };
  for (const Row& row : std::vector<Row>{{"3306/tcp", 6, 3306},
                                         {"53/udp", 17, 53},
                                         {"9/SCTP", 132, 9},
                                         {"80", 6, 80},
                                         {"icmp", 1, 0},
                                         {"0/tcp", 0, 0},
                                         {"65536", 0, 0},
                                         {"80/tpc", 0, 0},
                                         {"80/", 0, 0},
                                         {"/tcp", 0, 0},
                                         {"-1", 0, 0},
                                         {"80x/tcp", 0, 0}}) {
    const auto parsed = TracePortWord::parse(row.word);
    if (row.protocol == 0) {
      ASSERT_FALSE(parsed.ok()) << row.word;
      EXPECT_EQ(parsed.error().message, "--port: " + row.word + "; allowed: " + kForms);
    } else {
      ASSERT_TRUE(parsed.ok()) << row.word;
      EXPECT_EQ(parsed->protocol, row.protocol) << row.word;
      EXPECT_EQ(parsed->port, row.port) << row.word;
    }
  }
}

TEST(TraceWords, ANameAloneIsOfTheDefaultNamespace) {
  EXPECT_EQ(NamespacedName::parse("web").to_string(), "default/web");
  EXPECT_EQ(NamespacedName::parse("shop/web").to_string(), "shop/web");
}

TEST(TraceWords, AServiceIsItsAddressesAndItsPorts) {
  const auto end = service_end("default/db", Json::parse(R"({"spec": {"clusterIPs": ["10.96.0.12", "fd00::12"],
      "ports": [{"port": 3306}, {"port": 53, "protocol": "UDP"}]}})"));
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->addresses, (std::vector{address("10.96.0.12"), address("fd00::12")}));
  ASSERT_EQ(end->ports.size(), 2u);
  EXPECT_EQ(end->ports[0].protocol, 6u);
  EXPECT_EQ(end->ports[1].protocol, 17u);
  EXPECT_EQ(end->ports[1].port, 53u);
  const auto headless = service_end("default/db", Json::parse(R"({"spec": {"clusterIPs": ["None"]}})"));
  ASSERT_FALSE(headless.ok());
  EXPECT_EQ(headless.error().message, "service default/db has no address of its own; allowed: one of its pods");
}

TEST(TraceWords, TheFamilyIsOneThatBothHave) {
  const TraceEnd pod{"pod default/a", {address("10.0.0.1"), address("fd00::1")}, {}};
  const TraceEnd v6{"fd00::9", {address("fd00::9")}, {}};
  const TraceEnd v4{"10.0.0.9", {address("10.0.0.9")}, {}};
  const auto asked = trace_request(pod, v6, TracePortWord{1, 0}, 77);
  ASSERT_TRUE(asked.ok());
  EXPECT_EQ(asked->source(), bytes("fd00::1"));
  EXPECT_EQ(asked->protocol(), 58u) << "ICMP is that of the family";
  EXPECT_EQ(asked->source_port(), 77u);
  EXPECT_EQ(asked->destination_port(), 77u) << "one identifier";
  EXPECT_EQ(trace_request(pod, v4, TracePortWord{6, 80}, 0)->source(), bytes("10.0.0.1"));
  const auto neither = trace_request(v4, v6, TracePortWord{6, 80}, 0);
  ASSERT_FALSE(neither.ok());
  EXPECT_EQ(neither.error().message, "--to: fd00::9 has no address of a family that 10.0.0.9 has");
}

TEST(TraceWords, APortIsOnlyMissedWhereNobodyHasIt) {
  const TraceEnd pod{"pod default/a", {address("10.0.0.1")}, {}};
  const TraceEnd one{"service default/db", {address("10.96.0.1")}, {{6, 3306}}};
  const TraceEnd two{"service default/dns", {address("10.96.0.2")}, {{6, 53}, {17, 53}}};
  EXPECT_EQ(trace_request(pod, one, std::nullopt, 0)->destination_port(), 3306u);
  EXPECT_EQ(trace_request(pod, one, TracePortWord{17, 99}, 0)->destination_port(), 99u) << "what is said is asked";
  const auto several = trace_request(pod, two, std::nullopt, 0);
  ASSERT_FALSE(several.ok());
  EXPECT_EQ(several.error().message,
            std::string("--port: missing, and service default/dns has several; allowed: ") + kForms);
  const auto none = trace_request(one, pod, std::nullopt, 0);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().message,
            std::string("--port: missing, and pod default/a has none of its own; allowed: ") + kForms);
}

/// From web-1 to a service with two backends.
api::TraceRequest asked() {
  api::TraceRequest request;
  request.set_source(bytes("10.244.0.7"));
  request.set_destination(bytes("10.96.0.12"));
  request.set_protocol(6);
  request.set_destination_port(3306);
  return request;
}

void fill(api::TracePort& port, const std::string& name, const std::string& description, std::uint32_t identity,
          bool is_pod = true) {
  port.set_name(name);
  port.set_description(description);
  port.set_identity(identity);
  port.set_is_pod(is_pod);
}

api::TraceReply told() {
  api::TraceReply reply;
  fill(*reply.mutable_in(), "mr1", "default/web-1", 12);
  fill(*reply.mutable_out(), "mr2", "default/db-0", 13);
  reply.mutable_service()->set_name("default/db:mysql");
  reply.mutable_service()->set_action("balance");
  reply.mutable_service()->set_backend_address(bytes("10.244.0.9"));
  reply.mutable_service()->set_backend_port(3306);
  reply.mutable_service()->set_backend_count(2);
  reply.mutable_translated()->set_destination(bytes("10.244.0.9"));
  reply.mutable_egress()->set_answer(api::TRACE_POLICY_ANSWER_ALLOWED);
  reply.mutable_egress()->add_objects("default/web-egress");
  reply.mutable_egress()->set_object("default/web-egress");
  reply.mutable_ingress()->set_answer(api::TRACE_POLICY_ANSWER_DENIED);
  reply.mutable_ingress()->add_objects("default/db-deny");
  reply.mutable_ingress()->add_objects("default/db-allow");
  reply.set_drop("policy_ingress");
  reply.set_drop_text("no rule lets it in");
  return reply;
}

TEST(TraceText, AStepALineAndTheVerdictLast) {
  EXPECT_EQ(trace_text(asked(), told()),
            "from    default/web-1 (10.244.0.7), port mr1, identity 12\n"
            "service default/db:mysql 10.96.0.12:3306 -> 10.244.0.9:3306 (1 of 2 backends; --source-port decides "
            "which)\n"
            "to      default/db-0 (10.244.0.9), port mr2, identity 13\n"
            "egress  default/web-1 is isolated by default/web-egress; rule egress[0] of default/web-egress allows it\n"
            "ingress default/db-0 is isolated by default/db-deny, default/db-allow; no rule allows it (default deny)\n"
            "verdict DROP policy_ingress: no rule lets it in\n");
  EXPECT_FALSE(is_allowed(told()));
}

TEST(TraceText, APacketToTheOutsideSaysHowItLeaves) {
  api::TraceRequest request = asked();
  request.set_destination(bytes("198.51.100.7"));
  api::TraceReply reply;
  fill(*reply.mutable_in(), "mr1", "default/web-1", 0);
  fill(*reply.mutable_out(), "millrace0", "node n1", 0, false);
  reply.mutable_translated()->set_destination(bytes("198.51.100.7"));
  reply.mutable_egress()->set_answer(api::TRACE_POLICY_ANSWER_NOT_ISOLATED);
  reply.mutable_ingress()->set_answer(api::TRACE_POLICY_ANSWER_NO_POD);
  reply.set_masquerade(bytes("192.0.2.1"));
  EXPECT_EQ(trace_text(request, reply),
            "from    default/web-1 (10.244.0.7), port mr1\n"
            "to      198.51.100.7, port millrace0 (node n1)\n"
            "egress  default/web-1 is not isolated\n"
            "ingress not asked: millrace0 is no pod's port\n"
            "leaves  as 192.0.2.1 (masquerade)\n"
            "verdict ALLOW: leaves by port millrace0\n");
  EXPECT_TRUE(is_allowed(reply));
}

TEST(TraceText, AReplyOfAFlowPassesWhateverAFirstPacketWould) {
  api::TraceReply reply = told();
  reply.set_is_reply(true);
  api::Flow& flow = *reply.mutable_flow();
  flow.set_protocol(6);
  flow.set_state("ESTABLISHED");
  flow.set_packets(3);
  flow.set_reply_packets(2);
  flow.mutable_original()->set_source(bytes("10.244.0.9"));
  flow.mutable_original()->set_source_port(4000);
  flow.mutable_original()->set_destination(bytes("10.244.0.7"));
  flow.mutable_original()->set_destination_port(80);
  const std::string text = trace_text(asked(), reply);
  EXPECT_TRUE(
      text.ends_with("flow    a reply of tcp 10.244.0.9:4000 > 10.244.0.7:80, ESTABLISHED, 3 packets, 2 "
                     "replies\nverdict ALLOW: replies of a flow that is there pass\n"))
      << text;
  EXPECT_TRUE(is_allowed(reply));
}

TEST(TraceText, EachAnswerOfPolicyHasItsSentence) {
  const std::vector<std::pair<api::TracePolicyAnswer, std::string>> rows = {
      {api::TRACE_POLICY_ANSWER_NOT_REACHED, "not asked: dropped before"},
      {api::TRACE_POLICY_ANSWER_FROM_NODE,
       "default/db-0 is isolated by default/db-deny, default/db-allow, but its own node may always reach it"},
      {api::TRACE_POLICY_ANSWER_TO_ITSELF, "not asked: a pod may always reach itself"},
      {api::TRACE_POLICY_ANSWER_PENDING, "default/db-0 awaits its policies"},
  };
  for (const auto& [answer, text] : rows) {
    api::TraceReply reply = told();
    reply.mutable_ingress()->set_answer(answer);
    const std::string all = trace_text(asked(), reply);
    EXPECT_NE(all.find("ingress " + text + "\n"), std::string::npos) << all;
  }
  api::TraceReply closed = told();
  closed.mutable_ingress()->set_failure("no counter is free");
  EXPECT_NE(trace_text(asked(), closed).find("which could not be built: no counter is free\n"), std::string::npos);
}

}  // namespace
}  // namespace millrace::control::cli
