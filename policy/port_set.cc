#include "policy/port_set.h"

#include <set>

namespace millrace::policy {
namespace {

constexpr std::array<std::uint8_t, 3> kProtocols = {net::ip_protocol::kTcp, net::ip_protocol::kUdp,
                                                    net::ip_protocol::kSctp};

/// Where a rule begins or ceases to open ports.
struct Edge {
  std::uint32_t port = 0;  // up to 65536
  RuleIndex rule = 0;
  bool begins = false;
};

std::vector<Edge> edges_of(std::span<const Rule> rules, std::span<const RuleIndex> chosen, std::uint8_t protocol) {
  std::vector<Edge> edges;
  for (const RuleIndex rule : chosen) {
    for (const PortRange& range : rules[rule].ports) {
      if (range.protocol != protocol) continue;
      edges.push_back({range.first, rule, true});
      edges.push_back({range.last + 1u, rule, false});
    }
  }
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.port < b.port; });
  return edges;
}

}  // namespace

std::uint32_t PortSets::add(std::span<const Rule> rules, std::vector<RuleIndex> chosen) {
  const auto [known, is_new] = known_.try_emplace(chosen, static_cast<std::uint32_t>(sets_.size()));
  if (!is_new) return known->second;
  Set set;
  for (const RuleIndex rule : chosen) {
    if (rules[rule].ports.empty()) set.every_protocol = std::min(set.every_protocol, rule);
  }
  for (unsigned kind = 0; kind < kKinds; ++kind) {
    set.begin[kind] = static_cast<std::uint32_t>(intervals_.size());
    add_intervals(rules, chosen, kind);
  }
  set.begin[kKinds] = static_cast<std::uint32_t>(intervals_.size());
  sets_.push_back(set);
  return known->second;
}

/// Sweeps over the ports with the rules that are open where it stands (a rule may have two ranges that overlap).
void PortSets::add_intervals(std::span<const Rule> rules, std::span<const RuleIndex> chosen, unsigned kind) {
  const std::vector<Edge> edges = edges_of(rules, chosen, kProtocols[kind]);
  const std::size_t begin = intervals_.size();
  std::multiset<RuleIndex> open;
  for (std::size_t i = 0; i < edges.size();) {
    const std::uint32_t port = edges[i].port;
    for (; i < edges.size() && edges[i].port == port; ++i) {
      if (edges[i].begins) {
        open.insert(edges[i].rule);
      } else {
        open.erase(open.find(edges[i].rule));
      }
    }
    if (open.empty()) continue;
    const auto last = static_cast<std::uint16_t>(edges[i].port - 1);  // what is open ends somewhere
    const RuleIndex rule = *open.begin();
    const bool goes_on =
        intervals_.size() > begin && intervals_.back().rule == rule && intervals_.back().last + 1u == port;
    if (goes_on) {
      intervals_.back().last = last;
    } else {
      intervals_.push_back({static_cast<std::uint16_t>(port), last, rule});
    }
  }
}

void PortSets::seal() {
  known_.clear();
  intervals_.shrink_to_fit();
  sets_.shrink_to_fit();
}

}  // namespace millrace::policy
