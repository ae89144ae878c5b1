// Single packets, totals of drops, and the policy in force, as text.
#include "control/cli/packet_text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "control/cli/drop_text.h"
#include "control/cli/policy_text.h"
#include "net/address.h"

namespace millrace::control::cli {
namespace {

std::string bytes(const std::string& text) {
  const net::IpAddress parsed = net::IpAddress::parse(text).value();
  return {parsed.raw().begin(), parsed.raw().end()};
}

void fill(api::FlowTuple& tuple, const std::string& source, std::uint32_t source_port, const std::string& destination,
          std::uint32_t destination_port) {
  tuple.set_source(bytes(source));
  tuple.set_source_port(source_port);
  tuple.set_destination(bytes(destination));
  tuple.set_destination_port(destination_port);
}

/// TCP of default/web at one second and 2 microseconds of the epoch.
api::PacketEvent packet() {
  api::PacketEvent event;
  event.set_time_unix_ns(1'000'002'000);
  event.mutable_in()->set_name("mr1");
  event.mutable_in()->set_description("default/web");
  event.set_protocol(6);
  event.set_length_bytes(60);
  fill(*event.mutable_arrived(), "10.0.0.1", 4000, "10.96.0.1", 80);
  return event;
}

class PacketText : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
};

TEST_F(PacketText, APacketThatGoesOnSaysWhatWasTranslatedAndWhereItLeft) {
  api::PacketEvent event = packet();
  event.set_service("default/db:mysql");
  event.mutable_out()->set_name("mr2");
  event.mutable_out()->set_description("default/db-0");
  fill(*event.mutable_left(), "10.0.0.1", 4000, "10.0.0.2", 8080);
  event.set_next_worker(1);
  EXPECT_EQ(packet_line(event),
            "00:00:01.000002 default/web: tcp 10.0.0.1:4000 > 10.96.0.1:80 (default/db:mysql), 60 bytes, to "
            "10.0.0.2:8080, out by default/db-0, worker 0 then 1\n");
  event.set_is_reply(true);
  fill(*event.mutable_left(), "192.0.2.1", 41000, "10.96.0.1", 80);
  event.set_next_worker(0);
  EXPECT_EQ(packet_line(event),
            "00:00:01.000002 default/web: tcp 10.0.0.1:4000 > 10.96.0.1:80 (default/db:mysql), reply, 60 bytes, from "
            "192.0.2.1:41000, out by default/db-0, worker 0\n");
}

TEST_F(PacketText, ADropSaysWhyAndByWhosePolicies) {
  api::PacketEvent event = packet();
  event.set_drop("service_no_frontend");
  event.set_drop_text("no service has it");
  EXPECT_EQ(packet_line(event),
            "00:00:01.000002 default/web: tcp 10.0.0.1:4000 > 10.96.0.1:80, 60 bytes, DROP service_no_frontend: no "
            "service has it\n");
  event.set_drop("policy_ingress");
  event.mutable_out()->set_name("mr2");
  event.mutable_out()->set_description("default/db-0");
  event.set_destination("default/db-0");
  event.add_policies("default/a");
  event.add_policies("default/b");
  EXPECT_EQ(packet_line(event),
            "00:00:01.000002 default/web: tcp 10.0.0.1:4000 > 10.96.0.1:80 (default/db-0), 60 bytes, DROP "
            "policy_ingress: default/db-0 is isolated by default/a, default/b\n");
}

TEST_F(PacketText, AFrameWithoutAddressesHasNone) {
  api::PacketEvent event = packet();
  event.clear_arrived();
  event.mutable_in()->clear_description();
  event.set_drop("frame_too_short");
  event.set_drop_text("short");
  EXPECT_EQ(packet_line(event), "00:00:01.000002 mr1: no addresses, 60 bytes, DROP frame_too_short: short\n");
  event.clear_in();
  EXPECT_EQ(packet_line(event), "00:00:01.000002 ?: no addresses, 60 bytes, DROP frame_too_short: short\n");
}

TEST_F(PacketText, AnEchoHasAnIdentifierAndAType) {
  api::PacketEvent event = packet();
  event.set_protocol(1);
  event.set_icmp_type(8);
  fill(*event.mutable_arrived(), "10.0.0.1", 7, "10.0.0.2", 7);
  *event.mutable_left() = event.arrived();
  EXPECT_EQ(packet_line(event), "00:00:01.000002 default/web: icmp type 8 10.0.0.1:7 > 10.0.0.2, 60 bytes, worker 0\n");
}

TEST(DropText, RowsAreByPodAndReasonAndThoseThatAreGone) {
  api::ListPortsReply ports;
  for (const auto& [name, pod] : {std::pair{"mr1", "default/web"}, {"mr2", "default/db"}}) {
    api::PortStatus* port = ports.add_ports();
    port->mutable_spec()->set_name(name);
    port->mutable_spec()->set_description(pod);
  }
  (*ports.mutable_ports(0)->mutable_totals()->mutable_drops())["policy_ingress"] = 3;
  (*ports.mutable_ports(0)->mutable_totals()->mutable_drops())["no_route"] = 1;
  ports.mutable_ports(1)->mutable_totals()->set_denied(3);
  api::GetCountersReply counters;
  (*counters.mutable_drop_texts())["policy_ingress"] = "not let in";
  (*counters.mutable_drop_texts())["no_route"] = "no way";
  (*counters.mutable_removed_ports()->mutable_drops())["no_route"] = 7;
  EXPECT_EQ(drop_table(drop_rows(ports, counters, {})),
            "POD          PORT  DROP            PACKETS  WHY\n"
            "default/web  mr1   no_route              1  no way\n"
            "default/web  mr1   policy_ingress        3  not let in\n"
            "default/db   mr2   refused               3  its ingress policies let these not in\n"
            "(removed)    -     no_route              7  no way\n");
  const auto rows = drop_rows(ports, counters, {"mr2"});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(drop_json(rows)["drops"][0]["packets"], 3);
  EXPECT_EQ(drop_table({}), "no packet was dropped\n");
}

TEST(PolicyText, EachDirectionSaysSinceWhenByWhomAndWhatEachRuleOpens) {
  api::PortPolicyStatus status;
  status.set_port("mr1");
  status.set_generation(17);
  api::PolicyDirectionStatus& in = *status.mutable_ingress();
  in.set_isolated(true);
  in.set_since_generation(12);
  for (const char* object : {"default/deny", "default/allow"}) in.add_policies()->set_object(object);
  api::PolicyRuleStatus& rule = *in.mutable_policies(1)->add_rules();
  api::PeerGroupStatus& group = *rule.add_groups();
  group.set_name("pods app=web");
  group.set_identity_count(2);
  api::IpBlock& block = *rule.add_blocks();
  block.mutable_cidr()->set_address(bytes("10.0.0.0"));
  block.mutable_cidr()->set_length(8);
  block.add_except()->set_address(bytes("10.1.0.0"));
  block.mutable_except(0)->set_length(16);
  for (const auto& [protocol, first, last] :
       {std::array{6u, 80u, 80u}, std::array{17u, 1000u, 2000u}, std::array{132u, 0u, 65'535u}}) {
    api::PolicyPort& port = *rule.add_ports();
    port.set_protocol(protocol);
    port.set_first(first);
    port.set_last(last);
  }
  rule.set_flows(5);
  api::PolicyRuleStatus& any = *in.mutable_policies(1)->add_rules();
  any.set_index(1);
  any.set_any_peer(true);
  any.set_flows(1);
  status.mutable_egress()->set_since_generation(3);
  EXPECT_EQ(policy_text("default/db", status),
            "default/db, port mr1, generation 17\n"
            "ingress isolated since generation 12 by default/deny, default/allow\n"
            "  default/allow ingress[0]: from pods app=web (2 identities); 10.0.0.0/8 except 10.1.0.0/16, at 80/tcp, "
            "1000-2000/udp, any sctp: 5 flows\n"
            "  default/allow ingress[1]: from anybody, at any port: 1 flow\n"
            "egress  not isolated since generation 3: everything is allowed\n");
  in.mutable_policies(1)->clear_rules();
  EXPECT_NE(policy_text("default/db", status).find("  nothing is allowed: no rules\n"), std::string::npos);
  in.set_failure("policy default/allow: too much");
  status.set_awaits_policy(true);
  const std::string text = policy_text("default/db", status);
  EXPECT_NE(text.find("  nothing is allowed: policy default/allow: too much\n"), std::string::npos) << text;
  EXPECT_NE(text.find("awaits its policies: nothing begins from it or to it\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace millrace::control::cli
