/// A NetworkPolicy as a test's row tells it: every field that a reader of manifests fills in, a line a rule.
///
///   app=api; isolates in out
///   in: from pods app=worker in namespaces team=orders, 10.0.0.0/8 but 10.1.0.0/16; on TCP 80, UDP 1..9, SCTP *
///
/// Thread:  pure functions.
#pragma once

#include <string>

#include <fmt/format.h>

#include "control/kube/network_policy.h"

namespace millrace::control::kube {

inline std::string selector_text(const LabelSelector& selector) { return selector.empty() ? "*" : to_string(selector); }

inline std::string peer_text(const PolicyPeer& peer) {
  std::string text;
  const auto add = [&](const std::string& words) { text += (text.empty() ? "" : " ") + words; };
  if (peer.pod_selector) add("pods " + selector_text(*peer.pod_selector));
  if (peer.namespace_selector) add("in namespaces " + selector_text(*peer.namespace_selector));
  if (peer.ip_block) {
    add(peer.ip_block->cidr.to_string());
    for (const net::Prefix& except : peer.ip_block->except) add("but " + except.to_string());
  }
  return text;
}

inline std::string port_text(const PolicyPort& port) {
  std::string text(kProtocolNames[static_cast<std::size_t>(port.protocol)]);
  if (port.port == 0 && port.name.empty()) text += " *";
  if (port.port != 0) text += fmt::format(" {}", port.port);
  if (!port.name.empty()) text += " " + port.name;
  if (port.end_port != 0) text += fmt::format("..{}", port.end_port);
  return text;
}

inline std::string rule_text(const char* direction, const PolicyRule& rule) {
  std::string peers, ports;
  for (const PolicyPeer& peer : rule.peers) peers += (peers.empty() ? "" : ", ") + peer_text(peer);
  for (const PolicyPort& port : rule.ports) ports += (ports.empty() ? "" : ", ") + port_text(port);
  return fmt::format("{} {}; on {}\n", direction, peers.empty() ? "all" : peers, ports.empty() ? "all" : ports);
}

inline std::string policy_text(const NetworkPolicy& policy) {
  std::string text = fmt::format("{}; isolates{}{}\n", selector_text(policy.pod_selector),
                                 policy.isolates_ingress ? " in" : "", policy.isolates_egress ? " out" : "");
  for (const PolicyRule& rule : policy.ingress) text += rule_text("in: from", rule);
  for (const PolicyRule& rule : policy.egress) text += rule_text("out: to", rule);
  return text;
}

}  // namespace millrace::control::kube
