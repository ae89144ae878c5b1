#include "control/switch/trace.h"

#include <fmt/core.h>

#include <algorithm>
#include <span>
#include <string>

#include "control/switch/field_checks.h"
#include "control/switch/port_view.h"
#include "control/switch/wire_fields.h"
#include "datapath/explain.h"
#include "nat/service.h"
#include "net/drop.h"
#include "net/ip_header.h"

namespace millrace::control::switchd {
namespace {

using datapath::Explanation;
using datapath::PortEntry;
using datapath::PortKind;
using datapath::Snapshot;
using net::Drop;

bool is_icmp(std::uint32_t protocol) {
  return protocol == net::ip_protocol::kIcmp || protocol == net::ip_protocol::kIcmpv6;
}
bool has_ports(std::uint32_t protocol) {
  return protocol == net::ip_protocol::kTcp || protocol == net::ip_protocol::kUdp ||
         protocol == net::ip_protocol::kSctp;
}

net::Result<void> check_ports(const api::TraceRequest& request) {
  constexpr std::uint32_t kLast = 65'535;
  if (!has_ports(request.protocol()) && !is_icmp(request.protocol())) {
    if (request.source_port() == 0 && request.destination_port() == 0) return {};
    return net::invalid_argument(
        fmt::format("protocol: {} has no ports; allowed: source_port 0 and destination_port 0", request.protocol()));
  }
  if (request.source_port() > kLast) {
    return net::invalid_argument(fmt::format("source_port: {}; allowed: 0..{}", request.source_port(), kLast));
  }
  const std::uint32_t first = is_icmp(request.protocol()) ? 0 : 1;
  if (request.destination_port() < first || request.destination_port() > kLast) {
    return net::invalid_argument(
        fmt::format("destination_port: {}; allowed: {}..{}", request.destination_port(), first, kLast));
  }
  if (is_icmp(request.protocol()) && request.destination_port() != request.source_port()) {
    return net::invalid_argument("destination_port: an echo has one identifier; allowed: that of source_port");
  }
  return {};
}

net::PortId route_of(const Snapshot& snapshot, const net::IpAddress& address) {
  return address.is_v4() ? snapshot.routes.lookup(address.v4()) : snapshot.routes.lookup(address.v6());
}
policy::Identity identity_of(const Snapshot& snapshot, const net::IpAddress& address) {
  return address.is_v4() ? snapshot.identities->find(address.v4()) : snapshot.identities->find(address.v6());
}
bool is_node(const Snapshot& snapshot, const net::IpAddress& address) {
  return address.is_v4() ? snapshot.nat.is_node(address.v4()) : snapshot.nat.is_node(address.v6());
}

/// Whether an uplink takes it for the switch (uplink_rules.h).
bool is_for_uplink(const Snapshot& snapshot, const TraceQuestion& question) {
  const datapath::PacketEnds& ends = question.ends;
  const net::IpAddress& to = ends.destination;
  const bool is_held = to.is_v4() ? snapshot.nat.holds(to.v4(), ends.destination_port)
                                  : snapshot.nat.holds(to.v6(), ends.destination_port);
  if (is_held) return true;
  const net::PortId in_range =
      to.is_v4() ? snapshot.nat.service_prefixes.lookup(to.v4()) : snapshot.nat.service_prefixes.lookup(to.v6());
  return in_range == net::kNoPort &&
         snapshot.services->service_of(to, question.protocol, ends.destination_port) != nullptr;
}

net::PortId port_in(const Snapshot& snapshot, const TraceQuestion& question) {
  const net::PortId routed = route_of(snapshot, question.ends.source);
  const PortKind kind = routed == net::kNoPort ? PortKind::kHost : snapshot.ports[routed].kind;
  if (kind == PortKind::kPod || kind == PortKind::kTunnel) return routed;
  if (is_node(snapshot, question.ends.source) || !is_for_uplink(snapshot, question)) return routed;
  const auto uplink = std::find_if(snapshot.ports.begin(), snapshot.ports.end(), [](const PortEntry& entry) {
    return entry.port != nullptr && entry.kind == PortKind::kUplink;
  });
  return uplink == snapshot.ports.end() ? routed : static_cast<net::PortId>(uplink - snapshot.ports.begin());
}

const LivePort* find_port(const LivePorts& ports, net::PortId id) {
  const auto found = std::find_if(ports.begin(), ports.end(), [id](const auto& entry) {
    return std::find(entry.second.ids.begin(), entry.second.ids.end(), id) != entry.second.ids.end();
  });
  return found == ports.end() ? nullptr : &found->second;
}

void fill_port(const LivePort& port, policy::Identity identity, api::TracePort& told) {
  told.set_name(port.config.name);
  told.set_description(port.config.description);
  told.set_is_pod(port.config.kind == PortKind::kPod);
  told.set_identity(identity);
}

/// A way to another node is a port to the workers.
void fill_tunnel(const Snapshot& snapshot, const LiveTunnels& tunnels, net::PortId id, policy::Identity identity,
                 api::TracePort& told) {
  for (const auto& [name, tunnel] : tunnels) {
    if (snapshot.first_tunnel + tunnel.index != id) continue;
    told.set_name(name);
    told.set_description("tunnel to " + tunnel.config->remote.to_string());
  }
  told.set_identity(identity);
}

/// Of how many the frontend's rule for this source chooses.
std::size_t backend_count(const nat::Service& service, const TraceQuestion& question, nat::SourceKind from) {
  const auto keys = service.keys();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].address != question.ends.destination || keys[i].protocol != question.protocol ||
        keys[i].port != question.ends.destination_port) {
      continue;
    }
    const nat::BackendSet* set = service.frontends()[i].sets[static_cast<unsigned>(from)];
    return set == nullptr ? 0 : set->backends().size();
  }
  return 0;
}

void fill_service(const Explanation& told, const TraceQuestion& question, api::TraceService& service) {
  service.set_name(nat::name_of(*told.choice.service));
  switch (told.choice.action) {
    case nat::FrontendAction::kBalance: service.set_action("balance"); break;
    case nat::FrontendAction::kReject: service.set_action("reject"); break;
    case nat::FrontendAction::kDrop: service.set_action("drop"); break;
  }
  service.set_backend_count(static_cast<std::uint32_t>(backend_count(*told.choice.service, question, told.from)));
  service.set_has_affinity(told.choice.has_affinity);
  if (told.choice.backend == nullptr) return;
  service.set_backend_address(wire_bytes(told.choice.backend->address));
  service.set_backend_port(told.choice.backend->port);
}

bool is_gateway(const Snapshot& snapshot, const net::IpAddress& address) {
  return address.is_v4() ? address.v4() == snapshot.gateway.ipv4 : address.v6() == snapshot.gateway.ipv6;
}

void set_drop(Drop drop, api::TraceReply& reply) {
  if (drop == Drop::kNone) return;
  reply.set_drop(std::string(net::drop_name(drop)));
  reply.set_drop_text(std::string(net::drop_text(drop)));
}

/// Of a packet to the gateway: nothing else is asked.
void fill_gateway(const TraceQuestion& question, api::TraceReply& reply) {
  fill(question.ends, *reply.mutable_translated());
  reply.mutable_egress()->set_answer(api::TRACE_POLICY_ANSWER_NOT_REACHED);
  reply.mutable_ingress()->set_answer(api::TRACE_POLICY_ANSWER_NOT_REACHED);
  reply.set_is_answered(is_icmp(question.protocol));
  if (!reply.is_answered()) set_drop(Drop::kGatewayProtocol, reply);
}

/// Which rule it is of the joined rules of a port's policies.
void fill_rule(const LiveRuleSet& set, policy::RuleIndex rule, api::TracePolicy& told) {
  std::size_t index = rule;
  for (const auto& part : set.parts) {
    if (index < part->spec->rules.size()) {
      told.set_object(part->spec->object);
      told.set_rule_index(part->spec->rules[index].index);
      return;
    }
    index -= part->spec->rules.size();
  }
}

api::TracePolicyAnswer answer_of(const Explanation& told, const LivePort* port, Direction direction) {
  const Drop drop = told.verdict.drop;
  const bool is_ingress = direction == Direction::kIngress;
  if (told.out == net::kNoPort) return api::TRACE_POLICY_ANSWER_NOT_REACHED;
  if (port == nullptr || port->config.kind != PortKind::kPod) return api::TRACE_POLICY_ANSWER_NO_POD;
  if (told.is_to_itself) return api::TRACE_POLICY_ANSWER_TO_ITSELF;
  if (drop == Drop::kPolicyPending && told.verdict.is_source_pending != is_ingress) {
    return api::TRACE_POLICY_ANSWER_PENDING;
  }
  const bool ends_before =
      drop == Drop::kPolicyEgress || (drop == Drop::kPolicyPending && told.verdict.is_source_pending);
  if (is_ingress && ends_before) return api::TRACE_POLICY_ANSWER_NOT_REACHED;
  if (port->rules.sets[static_cast<unsigned>(direction)] == nullptr) return api::TRACE_POLICY_ANSWER_NOT_ISOLATED;
  if (is_ingress && told.is_from_node) return api::TRACE_POLICY_ANSWER_FROM_NODE;
  const Drop denial = is_ingress ? Drop::kPolicyIngress : Drop::kPolicyEgress;
  return drop == denial ? api::TRACE_POLICY_ANSWER_DENIED : api::TRACE_POLICY_ANSWER_ALLOWED;
}

void fill_policy(const Explanation& told, const LivePort* port, Direction direction, api::TracePolicy& reply) {
  reply.set_answer(answer_of(told, port, direction));
  if (port == nullptr) return;
  const auto& set = port->rules.sets[static_cast<unsigned>(direction)];
  if (set == nullptr) return;
  for (const std::string& object : objects_of(*set)) reply.add_objects(object);
  reply.set_failure(set->failure);
  if (reply.answer() != api::TRACE_POLICY_ANSWER_ALLOWED) return;
  const bool is_ingress = direction == Direction::kIngress;
  fill_rule(*set, is_ingress ? told.verdict.ingress_rule : told.verdict.egress_rule, reply);
}

bool is_same(const api::FlowTuple& tuple, const api::FlowTuple& asked, std::uint8_t protocol) {
  if (tuple.source() != asked.source() || tuple.destination() != asked.destination()) return false;
  if (asked.source_port() == 0) return is_icmp(protocol) || tuple.destination_port() == asked.destination_port();
  return tuple.source_port() == asked.source_port() && tuple.destination_port() == asked.destination_port();
}

/// As the answers of the flow come.
api::FlowTuple reply_tuple(const api::Flow& flow) {
  api::FlowTuple tuple;
  tuple.set_source(flow.translated().destination());
  tuple.set_destination(flow.translated().source());
  tuple.set_source_port(flow.translated().destination_port());
  tuple.set_destination_port(flow.translated().source_port());
  return tuple;
}

}  // namespace

net::Result<TraceQuestion> TraceQuestion::parse(const api::TraceRequest& request) {
  constexpr std::uint32_t kLastProtocol = 255;
  const auto source = check_unicast("source", request.source());
  if (!source) return source.error();
  const auto destination = net::IpAddress::from_bytes(
      std::span(reinterpret_cast<const std::uint8_t*>(request.destination().data()), request.destination().size()));
  if (!destination) {
    return net::invalid_argument(fmt::format("destination: {} bytes; allowed: 4 or 16", request.destination().size()));
  }
  if (source->family != destination->family) {
    return net::invalid_argument(fmt::format("destination: {} is not of the family of the source, {}",
                                             destination->to_string(), source->to_string()));
  }
  if (request.protocol() == 0 || request.protocol() > kLastProtocol) {
    return net::invalid_argument(fmt::format("protocol: {}; allowed: 1..{}", request.protocol(), kLastProtocol));
  }
  if (auto checked = check_ports(request); !checked) return checked.error();
  return TraceQuestion{{*source, *destination, static_cast<std::uint16_t>(request.source_port()),
                        static_cast<std::uint16_t>(request.destination_port())},
                       static_cast<std::uint8_t>(request.protocol())};
}

net::Result<api::TraceReply> trace(const Snapshot& snapshot, const LivePorts& ports, const LiveTunnels& tunnels,
                                   const TraceQuestion& question) {
  const net::PortId in = port_in(snapshot, question);
  const LivePort* const from = in == net::kNoPort ? nullptr : find_port(ports, in);
  const bool by_tunnel = datapath::is_tunnel(snapshot, in);
  if (from == nullptr && !by_tunnel) {
    return net::not_found(
        fmt::format("source: {} is no pod's address here, and no port leads to it", question.ends.source.to_string()));
  }
  api::TraceReply reply;
  reply.set_generation(snapshot.generation);
  const policy::Identity identity = identity_of(snapshot, question.ends.source);
  if (by_tunnel) {
    fill_tunnel(snapshot, tunnels, in, identity, *reply.mutable_in());
  } else {
    fill_port(*from, identity, *reply.mutable_in());
  }
  if (is_gateway(snapshot, question.ends.destination)) {
    fill_gateway(question, reply);
    return reply;
  }
  const Explanation told = datapath::explain(snapshot, in, question.ends, question.protocol);
  const LivePort* const to = told.out == net::kNoPort ? nullptr : find_port(ports, told.out);
  if (told.is_service) fill_service(told, question, *reply.mutable_service());
  if (to != nullptr) fill_port(*to, told.destination_identity, *reply.mutable_out());
  if (datapath::is_tunnel(snapshot, told.out)) {
    fill_tunnel(snapshot, tunnels, told.out, told.destination_identity, *reply.mutable_out());
  }
  fill(told.translated, *reply.mutable_translated());
  fill_policy(told, from, Direction::kEgress, *reply.mutable_egress());
  fill_policy(told, to, Direction::kIngress, *reply.mutable_ingress());
  if (told.is_masqueraded) reply.set_masquerade(wire_bytes(told.masquerade));
  set_drop(told.drop, reply);
  return reply;
}

net::Result<void> find_flow(FlowLister& flows, const TraceQuestion& question, api::TraceReply& reply) {
  api::FlowTuple asked;
  fill(question.ends, asked);
  api::ListFlowsRequest request;
  request.add_addresses(asked.source());
  const auto take = [&](const api::FlowBatch& batch) {
    for (const api::Flow& flow : batch.flows()) {
      if (flow.protocol() != question.protocol || flow.expires_ms() == 0) continue;
      const bool is_original = is_same(flow.original(), asked, question.protocol);
      // Which flow a reply is of cannot be told without its port.
      const bool is_reply =
          !is_original && asked.source_port() != 0 && is_same(reply_tuple(flow), asked, question.protocol);
      if (!is_original && !is_reply) continue;
      *reply.mutable_flow() = flow;
      reply.set_is_reply(is_reply);
      return false;
    }
    return true;
  };
  return flows.list(request, take);
}

}  // namespace millrace::control::switchd
