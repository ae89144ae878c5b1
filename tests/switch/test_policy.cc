#include "tests/switch/test_policy.h"

#include <algorithm>
#include <stdexcept>

#include "datapath/policy_check.h"
#include "net/drop.h"

namespace millrace::control::switchd {
namespace {

void fill(api::RoutePrefix& wire, const std::string& text) {
  const net::Prefix prefix = net::Prefix::parse(text).value();
  wire.set_address(std::string(prefix.address.raw().begin(), prefix.address.raw().end()));
  wire.set_length(prefix.length_bits);
}

net::PortId id_of(const TestSwitch& sw, const std::string& port) {
  const std::vector<std::string> names = sw.state->port_names();
  const auto found = std::find(names.begin(), names.end(), port);
  if (found == names.end()) throw std::runtime_error("no port " + port);
  return static_cast<net::PortId>(found - names.begin());
}

}  // namespace

api::PeerGroup group(const std::string& name, const std::vector<std::uint32_t>& identities) {
  api::PeerGroup wire;
  wire.set_name(name);
  for (const std::uint32_t identity : identities) wire.add_identities(identity);
  return wire;
}

api::Endpoint endpoint(const std::string& address, std::uint32_t identity) {
  api::Endpoint wire;
  wire.set_address(bytes_of(address));
  wire.set_identity(identity);
  return wire;
}

api::PolicyRule rule(std::uint32_t index, const std::vector<std::string>& groups,
                     const std::vector<std::uint32_t>& tcp_ports) {
  api::PolicyRule wire;
  wire.set_index(index);
  wire.set_any_peer(groups.empty());
  for (const std::string& name : groups) wire.add_groups(name);
  for (const std::uint32_t port : tcp_ports) {
    api::PolicyPort* range = wire.add_ports();
    range->set_protocol(net::ip_protocol::kTcp);
    range->set_first(port);
    range->set_last(port);
  }
  return wire;
}

api::PolicyRule block_rule(std::uint32_t index, const std::string& cidr, const std::vector<std::string>& except) {
  api::PolicyRule wire;
  wire.set_index(index);
  api::IpBlock* block = wire.add_blocks();
  fill(*block->mutable_cidr(), cidr);
  for (const std::string& hole : except) fill(*block->add_except(), hole);
  return wire;
}

api::Policy policy_of(const std::string& name, const std::vector<api::PolicyRule>& ingress,
                      const std::vector<api::PolicyRule>& egress) {
  api::Policy wire;
  wire.set_name(name);
  wire.set_object("ns/" + name);
  for (const api::PolicyRule& rule : ingress) *wire.add_ingress() = rule;
  for (const api::PolicyRule& rule : egress) *wire.add_egress() = rule;
  return wire;
}

api::PortPolicy port_policy(const std::string& port, const std::vector<std::string>& ingress,
                            const std::vector<std::string>& egress) {
  api::PortPolicy wire;
  wire.set_port(port);
  for (const std::string& name : ingress) wire.add_ingress(name);
  for (const std::string& name : egress) wire.add_egress(name);
  return wire;
}

std::string verdict(const TestSwitch& sw, const std::string& from, const std::string& to, std::uint16_t port) {
  const datapath::Snapshot& snapshot = *sw.publisher.current();
  datapath::PolicyQuestion<net::Ipv4> asked;
  asked.in = id_of(sw, from);
  asked.out = id_of(sw, to);
  asked.source = snapshot.ports[asked.in].ipv4[0];
  asked.destination = snapshot.ports[asked.out].ipv4[0];
  asked.protocol = net::ip_protocol::kTcp;
  asked.destination_port = port;
  const net::Drop drop = datapath::ask_policy(snapshot, asked).drop;
  return drop == net::Drop::kNone ? "" : std::string(net::drop_name(drop));
}

const policy::RuleSet* rules_in_force(const TestSwitch& sw, const std::string& port, bool ingress) {
  const datapath::PortEntry& entry = sw.publisher.current()->ports[id_of(sw, port)];
  return ingress ? entry.ingress : entry.egress;
}

}  // namespace millrace::control::switchd
