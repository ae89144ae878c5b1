// Flows as text: ends, translations, what has changed between two looks.
#include "control/cli/flow_text.h"

#include <gtest/gtest.h>

#include "net/address.h"

namespace millrace::control::cli {
namespace {

std::string bytes(const std::string& address) {
  const net::IpAddress parsed = net::IpAddress::parse(address).value();
  return {parsed.raw().begin(), parsed.raw().end()};
}

api::FlowTuple tuple(const std::string& source, std::uint32_t source_port, const std::string& destination,
                     std::uint32_t destination_port) {
  api::FlowTuple made;
  made.set_source(bytes(source));
  made.set_source_port(source_port);
  made.set_destination(bytes(destination));
  made.set_destination_port(destination_port);
  return made;
}

api::Flow flow(std::uint32_t protocol, const api::FlowTuple& original, const api::FlowTuple& translated,
               const std::string& state, const std::string& service = {}) {
  api::Flow made;
  made.set_protocol(protocol);
  *made.mutable_original() = original;
  *made.mutable_translated() = translated;
  made.set_state(state);
  made.set_service(service);
  return made;
}

const api::FlowTuple kWeb = tuple("10.0.0.1", 4000, "10.96.0.1", 80);
const api::FlowTuple kBackend = tuple("10.0.0.1", 4000, "10.0.0.2", 8080);
const api::FlowTuple kBoth = tuple("192.0.2.1", 41000, "10.0.0.2", 8080);
const api::FlowTuple kWeb6 = tuple("fd00::1", 4000, "fd00::2", 80);

TEST(FlowText, EndsHavePortsWhereTheProtocolHas) {
  EXPECT_EQ(end_text(6, bytes("10.0.0.1"), 80), "10.0.0.1:80");
  EXPECT_EQ(end_text(17, bytes("fd00::1"), 53), "[fd00::1]:53");
  EXPECT_EQ(end_text(1, bytes("10.0.0.1"), 7), "10.0.0.1:7");
  EXPECT_EQ(end_text(47, bytes("10.0.0.1"), 0), "10.0.0.1");
  EXPECT_EQ(protocol_text(132), "sctp");
  EXPECT_EQ(protocol_text(47), "47");
}

TEST(FlowText, ATranslationNamesWhatItChanges) {
  EXPECT_EQ(translation_text(flow(6, kWeb, kWeb, "")), "");
  EXPECT_EQ(translation_text(flow(6, kWeb, kBackend, "")), "to 10.0.0.2:8080");
  EXPECT_EQ(translation_text(flow(6, kWeb, kBoth, "")), "from 192.0.2.1:41000, to 10.0.0.2:8080");
}

TEST(FlowText, AnIdentifierIsOfTheSourceAlone) {
  const api::FlowTuple ping = tuple("10.0.0.1", 7, "198.51.100.1", 7);
  const api::FlowTuple masqueraded = tuple("192.0.2.1", 41000, "198.51.100.1", 41000);
  EXPECT_EQ(translation_text(flow(1, ping, masqueraded, "")), "from 192.0.2.1:41000");
  EXPECT_EQ(change_line({"new", flow(1, ping, ping, "REPLIED")}), "new      icmp 10.0.0.1:7 > 198.51.100.1 REPLIED\n");
}

TEST(FlowText, ATableHasARowAFlow) {
  api::Flow web = flow(6, kWeb, kBackend, "ESTABLISHED", "default/web");
  web.set_age_ms(61'000);
  web.set_idle_ms(500);
  web.set_packets(7);
  web.set_reply_packets(5);
  EXPECT_EQ(
      flow_table({web, flow(17, kWeb6, kWeb6, "UNREPLIED")}, false),
      "PROTOCOL  SOURCE          DESTINATION   TRANSLATED        STATE        SERVICE        AGE   IDLE  PACKETS  "
      "REPLIES\n"
      "tcp       10.0.0.1:4000   10.96.0.1:80  to 10.0.0.2:8080  ESTABLISHED  default/web  1m 1s  500ms        7  "
      "      5\n"
      "udp       [fd00::1]:4000  [fd00::2]:80  -                 UNREPLIED    -              0ms    0ms        0  "
      "      0\n");
}

TEST(FlowText, ChangesAreThoseOfTheFlowAndNotOfItsCounters) {
  api::Flow counted = flow(6, kWeb, kBackend, "ESTABLISHED", "default/web");
  const FlowMap first = by_key({flow(6, kWeb, kBackend, "SYN_SENT", "default/web"), flow(17, kWeb, kWeb, "UNREPLIED")});
  const FlowMap second = by_key({counted, flow(6, kWeb6, kWeb6, "SYN_SENT")});
  std::string text;
  for (const FlowChange& change : changes(first, second)) text += change_line(change);
  EXPECT_EQ(text,
            "changed  tcp 10.0.0.1:4000 > 10.96.0.1:80 (to 10.0.0.2:8080) ESTABLISHED default/web\n"
            "new      tcp [fd00::1]:4000 > [fd00::2]:80 SYN_SENT\n"
            "ended    udp 10.0.0.1:4000 > 10.96.0.1:80 UNREPLIED\n");
  counted.set_packets(1000);
  counted.set_idle_ms(1);
  EXPECT_TRUE(changes(second, by_key({counted, flow(6, kWeb6, kWeb6, "SYN_SENT")})).empty());
}

}  // namespace
}  // namespace millrace::control::cli
