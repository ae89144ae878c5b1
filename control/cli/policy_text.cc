#include "control/cli/policy_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "control/cli/flow_text.h"
#include "control/cli/join.h"
#include "control/cli/message_json.h"

namespace millrace::control::cli {

namespace {

constexpr std::uint32_t kLastPort = 65'535;

std::string prefix_text(const api::RoutePrefix& prefix) {
  return fmt::format("{}/{}", address_text(prefix.address()), prefix.length());
}

std::string block_text(const api::IpBlock& block) {
  std::vector<std::string> except;
  for (const api::RoutePrefix& prefix : block.except()) except.push_back(prefix_text(prefix));
  return except.empty() ? prefix_text(block.cidr())
                        : fmt::format("{} except {}", prefix_text(block.cidr()), join(except));
}

std::string peers_text(const api::PolicyRuleStatus& rule) {
  if (rule.any_peer()) return "anybody";
  std::vector<std::string> peers;
  for (const api::PeerGroupStatus& group : rule.groups()) {
    peers.push_back(fmt::format("{} ({} {})", group.name(), group.identity_count(),
                                group.identity_count() == 1 ? "identity" : "identities"));
  }
  for (const api::IpBlock& block : rule.blocks()) peers.push_back(block_text(block));
  return peers.empty() ? "nobody" : join(peers, "; ");
}

std::string ports_text(const api::PolicyRuleStatus& rule) {
  if (rule.ports_size() == 0) return "any port";
  std::vector<std::string> ports;
  for (const api::PolicyPort& port : rule.ports()) {
    const std::string protocol = protocol_text(port.protocol());
    if (port.first() == port.last()) {
      ports.push_back(fmt::format("{}/{}", port.first(), protocol));
    } else if (port.first() <= 1 && port.last() == kLastPort) {
      ports.push_back(fmt::format("any {}", protocol));
    } else {
      ports.push_back(fmt::format("{}-{}/{}", port.first(), port.last(), protocol));
    }
  }
  return join(ports);
}

std::string objects_text(const api::PolicyDirectionStatus& status) {
  std::vector<std::string> objects;
  for (const api::PolicyStatus& policy : status.policies()) {
    if (std::ranges::find(objects, policy.object()) == objects.end()) objects.push_back(policy.object());
  }
  return join(objects);
}

std::string direction_text(const char* direction, const char* word, const api::PolicyDirectionStatus& status) {
  if (!status.isolated()) {
    return fmt::format("{:<7} not isolated since generation {}: everything is allowed\n", direction,
                       status.since_generation());
  }
  std::string text = fmt::format("{:<7} isolated since generation {} by {}\n", direction, status.since_generation(),
                                 objects_text(status));
  if (!status.failure().empty()) return text + fmt::format("  nothing is allowed: {}\n", status.failure());
  bool has_rules = false;
  for (const api::PolicyStatus& policy : status.policies()) {
    for (const api::PolicyRuleStatus& rule : policy.rules()) {
      has_rules = true;
      text += fmt::format("  {} {}[{}]: {} {}, at {}: {} {}\n", policy.object(), direction, rule.index(), word,
                          peers_text(rule), ports_text(rule), rule.flows(), rule.flows() == 1 ? "flow" : "flows");
    }
  }
  return has_rules ? text : text + "  nothing is allowed: no rules\n";
}

}  // namespace

std::string policy_text(const std::string& pod, const api::PortPolicyStatus& status) {
  std::string text = fmt::format("{}, port {}, generation {}\n", pod, status.port(), status.generation());
  if (status.awaits_policy()) text += "awaits its policies: nothing begins from it or to it\n";
  return text + direction_text("ingress", "from", status.ingress()) + direction_text("egress", "to", status.egress());
}

}  // namespace millrace::control::cli
