// NetworkPolicy, field by field, and what holds between the fields.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "control/config/values.h"
#include "control/kube/readers.h"

namespace millrace::control::kube {
namespace {

/// ::ffff:0:0/96 (RFC 4291 s.2.5.5.2): no packet has such an address, so a rule of it would never match. API servers
/// differ on what it means; the strict ones refuse it.
bool is_v4_mapped(const net::Prefix& prefix) {
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return !prefix.address.is_v4() && std::equal(kMapped.begin(), kMapped.end(), prefix.address.bytes.begin());
}

/// False when it was no prefix, which is written down.
bool read_cidr(const Cursor& at, net::Prefix& out) {
  const std::size_t before = at.issues().count();
  read_prefix(at, out);
  if (at.issues().count() != before) return false;
  if (!is_v4_mapped(out)) return true;
  at.fail(fmt::format("{} is IPv4 written as IPv6", config::shown(at.value.text)), "the IPv4 prefix, ADDRESS/LENGTH");
  return false;
}

/// `except` hangs on `cidr`, which may stand behind it: both are read by read_ip_block.
constexpr Field<IpBlock> kIpBlockFields[] = {
    {"cidr", [](const Cursor&, IpBlock&) {}},
    {"except", [](const Cursor&, IpBlock&) {}},
};

void read_except(const Cursor& at, bool has_cidr, IpBlock& out) {
  read_list(at, kMaxPolicyExcepts, [&](const Cursor& entry) {
    net::Prefix& except = out.except.emplace_back();
    if (!read_cidr(entry, except) || !has_cidr) return;
    if (except.length_bits > out.cidr.length_bits && out.cidr.contains(except.address)) return;
    entry.fail(config::shown(entry.value.text), fmt::format("a smaller prefix inside cidr, {}", out.cidr.to_string()));
  });
}

void read_ip_block(const Cursor& at, IpBlock& out) {
  read_fields(at, out, kIpBlockFields);
  if (!at.value.is_map()) return;
  const Value* cidr = at.value.find("cidr");
  if (cidr == nullptr || (cidr->type == Value::Type::kText && cidr->text.empty())) {
    return at.fail_at("cidr", "is missing", "an IPv4 or IPv6 prefix, ADDRESS/LENGTH");
  }
  bool has_cidr = false;
  for (const std::string_view name : {"cidr", "except"}) {
    for (std::size_t i = 0; i < at.value.entries.size(); ++i) {
      const Value::Entry& entry = at.value.entries[i];
      if (entry.key != name || entry.value.is_null()) continue;
      if (name == "cidr") {
        has_cidr = read_cidr(at.field(i), out.cidr);
      } else {
        read_except(at.field(i), has_cidr, out);
      }
    }
  }
}

constexpr Field<PolicyPeer> kPeerFields[] = {
    {"podSelector", [](const Cursor& at, PolicyPeer& out) { read_selector(at, out.pod_selector.emplace()); }},
    {"namespaceSelector",
     [](const Cursor& at, PolicyPeer& out) { read_selector(at, out.namespace_selector.emplace()); }},
    {"ipBlock", [](const Cursor& at, PolicyPeer& out) { read_ip_block(at, out.ip_block.emplace()); }},
};

/// ValidateNetworkPolicyPeer. A selector without a value ("podSelector:") is absent, not empty.
void read_peer(const Cursor& at, PolicyPeer& out) {
  const std::size_t before = at.issues().count();
  read_fields(at, out, kPeerFields);
  if (at.issues().count() != before) return;
  const bool has_selector = out.pod_selector || out.namespace_selector;
  if (!has_selector && !out.ip_block) {
    at.fail("says no peer", "podSelector, namespaceSelector or both, or ipBlock; {} selects all");
  }
  if (has_selector && out.ip_block) { at.fail_at("ipBlock", "with a selector", "ipBlock alone, as a peer of its own"); }
}

constexpr Field<PolicyPort> kPortFields[] = {
    {"protocol", [](const Cursor& at, PolicyPort& out) { read_enum(at, kProtocolNames, out.protocol); }},
    {"port", [](const Cursor& at, PolicyPort& out) { read_port_or_name(at, out.port, out.name); }},
    {"endPort", [](const Cursor& at, PolicyPort& out) { read_port(at, out.end_port); }},
};

/// ValidateNetworkPolicyPort.
void read_policy_port(const Cursor& at, PolicyPort& out) {
  const std::size_t before = at.issues().count();
  read_fields(at, out, kPortFields);
  if (at.issues().count() != before || out.end_port == 0) return;
  constexpr const char* kAllowed = "none, or port as a number";
  if (!out.name.empty()) return at.fail_at("endPort", "with a port by its name", kAllowed);
  if (out.port == 0) return at.fail_at("endPort", "without port", kAllowed);
  if (out.end_port < out.port) {
    at.fail_at("endPort", fmt::format("{} is below port {}", out.end_port, out.port),
               fmt::format("{}..65535", out.port));
  }
}

void read_peers(const Cursor& at, PolicyRule& out) {
  read_list(at, kMaxPolicyPeers, [&](const Cursor& entry) { read_peer(entry, out.peers.emplace_back()); });
}

void read_ports(const Cursor& at, PolicyRule& out) {
  read_list(at, kMaxPolicyPorts, [&](const Cursor& entry) { read_policy_port(entry, out.ports.emplace_back()); });
}

constexpr Field<PolicyRule> kIngressFields[] = {{"from", read_peers}, {"ports", read_ports}};
constexpr Field<PolicyRule> kEgressFields[] = {{"to", read_peers}, {"ports", read_ports}};

void read_ingress(const Cursor& at, NetworkPolicy& out) {
  read_list(at, kMaxPolicyRules,
            [&](const Cursor& entry) { read_fields(entry, out.ingress.emplace_back(), kIngressFields); });
}

void read_egress(const Cursor& at, NetworkPolicy& out) {
  read_list(at, kMaxPolicyRules,
            [&](const Cursor& entry) { read_fields(entry, out.egress.emplace_back(), kEgressFields); });
}

void read_policy_types(const Cursor& at, NetworkPolicy& out) {
  if (at.value.type == Value::Type::kList && at.value.entries.empty()) return;  // as if absent
  out.isolates_ingress = false;
  read_list(at, std::size(kPolicyTypeNames), [&](const Cursor& entry) {
    std::size_t index = 0;
    read_choice(entry, kPolicyTypeNames, index);
    (index == 0 ? out.isolates_ingress : out.isolates_egress) = true;
  });
}

constexpr Field<NetworkPolicy> kSpecFields[] = {
    {"podSelector", [](const Cursor& at, NetworkPolicy& out) { read_selector(at, out.pod_selector); }},
    {"policyTypes", read_policy_types},
    {"ingress", read_ingress},
    {"egress", read_egress},
};

constexpr Field<NetworkPolicy> kFields[] = {
    {"metadata", [](const Cursor& at, NetworkPolicy& out) { read_metadata(at, Kind::kNetworkPolicy, out.meta); }},
    {"spec", [](const Cursor& at, NetworkPolicy& out) { read_fields(at, out, kSpecFields); }},
};
/// API servers of 1.24 to 1.27 had a status.
constexpr std::string_view kOthers[] = {"apiVersion", "kind", "status"};

/// SetDefaults_NetworkPolicy: a list without entries is as one that is absent.
bool says_types(const Cursor& at) {
  const Value* spec = at.value.find("spec");
  const Value* types = spec == nullptr ? nullptr : spec->find("policyTypes");
  return types != nullptr && !types->entries.empty();
}

}  // namespace

/// Neither spec nor podSelector is a pointer in the API's type, so the server takes an absent one for an empty one.
void read_object(const Cursor& at, NetworkPolicy& out) {
  read_fields(at, out, kFields, kOthers);
  if (at.value.find("metadata") == nullptr) at.fail_at("metadata", "is missing");
  if (!says_types(at)) out.isolates_egress = !out.egress.empty();
}

}  // namespace millrace::control::kube
