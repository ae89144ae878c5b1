/// Policy as the agent would ask for it, short enough for rows of tests, and the workers' answer to a first packet.
#pragma once

#include <string>
#include <vector>

#include "control/api/switch.pb.h"
#include "tests/switch/test_switch.h"

namespace millrace::control::switchd {

api::PeerGroup group(const std::string& name, const std::vector<std::uint32_t>& identities);
api::Endpoint endpoint(const std::string& address, std::uint32_t identity);
/// From or to the groups, at TCP ports; no groups: anybody; no ports: every protocol.
api::PolicyRule rule(std::uint32_t index, const std::vector<std::string>& groups,
                     const std::vector<std::uint32_t>& tcp_ports = {});
/// From or to the prefix but `except`, every protocol.
api::PolicyRule block_rule(std::uint32_t index, const std::string& cidr, const std::vector<std::string>& except = {});
/// Object "ns/NAME".
api::Policy policy_of(const std::string& name, const std::vector<api::PolicyRule>& ingress,
                      const std::vector<api::PolicyRule>& egress = {});
api::PortPolicy port_policy(const std::string& port, const std::vector<std::string>& ingress,
                            const std::vector<std::string>& egress = {});

/// What becomes of a first packet between two ports by their policies: "" or a drop's name. TCP.
std::string verdict(const TestSwitch& sw, const std::string& from, const std::string& to, std::uint16_t port);
/// The rule set of a port: a pointer to compare. nullptr: not isolated.
const policy::RuleSet* rules_in_force(const TestSwitch& sw, const std::string& port, bool ingress = true);

}  // namespace millrace::control::switchd
