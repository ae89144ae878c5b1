// Keys of flows: how many, and how long they are kept.
//
// Source:  lower limits: RFC 5382 REQ-5 (established TCP 2 h 4 min, closing 4 min), RFC 4787 REQ-5 (UDP 2 min, less to
//          well-known ports), RFC 5508 REQ-1 (ICMP queries 60 s). Where no document asks for one, what lets a lost
//          packet be sent again (RFC 6298 section 2: three times within 7 s).
#include "control/config/key_makers.h"
#include "nat/flow_table.h"

namespace millrace::control::config {

namespace {

using nat::FlowTimer;

constexpr Range kFlowLimitRange{nat::kMinFlowLimit, nat::kMaxFlowLimit};
constexpr std::uint32_t kMillisecondsPerSecond = 1000;
constexpr std::uint32_t kLongestSeconds = nat::kMaxTimeoutMs / kMillisecondsPerSecond;
constexpr std::uint32_t kRetriesSeconds = 7;

Key timeout(std::string_view path, FlowTimer timer, std::string_view fallback, std::uint32_t least,
            std::string_view about) {
  return integer(path, fallback, {least, kLongestSeconds}, about, [timer](std::uint32_t seconds, Config& config) {
    config.flows.timeouts.ms[static_cast<unsigned>(timer)] = seconds * kMillisecondsPerSecond;
  });
}

}  // namespace

std::vector<Key> flow_keys() {
  return {
      integer("flows.limit", "1000000", kFlowLimitRange,
              "Connections the switch can follow at one time, of IPv4 and as many of IPv6, shared out evenly among the "
              "workers. One takes 168 bytes, with IPv6 296; 32 to 64 of these are taken at start.",
              [](std::uint32_t value, Config& config) { config.flows.limit = value; }),
      {"flows.pickUpTcp", "boolean", "true", "true | false",
       "Whether a TCP connection whose begin the switch did not see goes on: after a restart of the switch, pods keep "
       "theirs.",
       [](const YAML::Node& node, Config& config) { return read_boolean(node, config.flows.pick_up_tcp); }},
      timeout("flows.timeouts.tcpHandshake", FlowTimer::kTcpHandshake, "60", kRetriesSeconds,
              "Seconds without a packet after which a TCP connection is forgotten that was not yet accepted."),
      timeout("flows.timeouts.tcpEstablished", FlowTimer::kTcpEstablished, "7440", 7440,
              "The same for one that is open (RFC 5382 REQ-5)."),
      timeout("flows.timeouts.tcpClosing", FlowTimer::kTcpClosing, "240", 240,
              "The same for one that a side has closed (RFC 5382 REQ-5)."),
      timeout("flows.timeouts.tcpClosed", FlowTimer::kTcpClosed, "10", 1,
              "The same for one that both sides have closed, or that was reset."),
      timeout("flows.timeouts.udpQuery", FlowTimer::kUdpOneShotShort, "30", kRetriesSeconds,
              "The same for UDP that has no answer yet, to a port below 1024 (RFC 4787 REQ-5 a)."),
      timeout("flows.timeouts.udpUnanswered", FlowTimer::kUdpOneShot, "120", 120,
              "The same for UDP that has no answer yet, to any other port (RFC 4787 REQ-5)."),
      timeout("flows.timeouts.udpAnswered", FlowTimer::kUdpStream, "300", 120,
              "The same for UDP that was answered (RFC 4787 REQ-5)."),
      timeout("flows.timeouts.icmp", FlowTimer::kIcmp, "60", 60, "The same for ICMP queries (RFC 5508 REQ-1)."),
      timeout("flows.timeouts.sctpHandshake", FlowTimer::kSctpHandshake, "60", kRetriesSeconds,
              "The same for an SCTP association that was not yet accepted."),
      timeout("flows.timeouts.sctpEstablished", FlowTimer::kSctpEstablished, "7440", 60,
              "The same for one that is open: longer than the 30 s between its heartbeats (RFC 9260 section 16)."),
      timeout("flows.timeouts.sctpClosing", FlowTimer::kSctpClosing, "60", kRetriesSeconds,
              "The same for one that a side has closed."),
      timeout("flows.timeouts.other", FlowTimer::kOther, "600", kRetriesSeconds,
              "The same for packets of any other protocol between two addresses."),
  };
}

}  // namespace millrace::control::config
