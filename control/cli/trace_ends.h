/// The words of `millrace trace` become a question to the switch: who sends, where to, at which port.
///
/// Shape:   an end is an address, NS/POD of this node or, as a destination, NS/SERVICE; NAME alone is of the namespace
///          "default". A pod wins over a Service of its name, but for service/NS/NAME. A Service with one port needs no
///          --port.
/// Family:  that of the ends that are addresses; else the first of the source's that the destination has, too.
/// Errors:  kInvalidArgument and kNotFound name the flag and what is allowed.
/// Thread:  pure functions, but for the two that ask the agent.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/api/switch.pb.h"
#include "control/config/config.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::control::cli {

struct TraceWords {
  std::string from;
  std::string to;
  std::string port;  // "": that of the Service
  std::uint32_t source_port = 0;
};

/// "3306/tcp", "53/udp", "80" (TCP), "icmp".
struct TracePortWord {
  std::uint32_t protocol = 0;  // ICMP: that of IPv4, for both families
  std::uint32_t port = 0;

  static net::Result<TracePortWord> parse(const std::string& word);
};

/// What a word for an end stands for.
struct TraceEnd {
  std::string name;  // "pod default/web", "service default/db", the address
  std::vector<net::IpAddress> addresses;
  std::vector<TracePortWord> ports;  // of a Service
};

/// Of a Service as the agent shows it. Error: kInvalidArgument when it has no address.
net::Result<TraceEnd> service_end(const std::string& name, const nlohmann::json& service);
/// `port`: what --port says.
net::Result<api::TraceRequest> trace_request(const TraceEnd& from, const TraceEnd& to,
                                             const std::optional<TracePortWord>& port, std::uint32_t source_port);

/// Asks the agent for the names among them.
net::Result<api::TraceRequest> resolve(const config::Config& config, const TraceWords& words);

}  // namespace millrace::control::cli
