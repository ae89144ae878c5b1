#include "tests/agent/policies/policy_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace millrace::control::agent::policies {
namespace {

net::IpAddress address_of(const std::string& bytes) {
  return net::IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}).value();
}

net::Prefix prefix_of(const api::RoutePrefix& prefix) {
  return {address_of(prefix.address()), static_cast<std::uint8_t>(prefix.length())};
}

template <typename Names, typename Map>
void expect_there(const Names& names, const Map& map, const std::string& by) {
  for (const std::string& name : names) EXPECT_TRUE(map.contains(name)) << by << " names " << name;
}

bool is_attached(const kube::Pod& pod) { return pod.node_name == "here" && !pod.host_network; }

}  // namespace

std::string port_of(const kube::Metadata& meta) { return fmt::format("port-{}-{}", meta.name_space, meta.name); }

void PolicyTables::apply(const api::ApplyRequest& request) {
  state_.merge(request);
  for (const auto& [name, group] : state_.groups) {
    EXPECT_TRUE(!name.empty() && name.size() <= 4096) << name;
    EXPECT_TRUE(std::ranges::adjacent_find(group.identities(), std::greater_equal<>()) == group.identities().end())
        << name << " is not ascending";
    EXPECT_TRUE(group.identities().empty() || group.identities(0) != kNoIdentity) << name;
  }
  for (const auto& [name, policy] : state_.policies) {
    EXPECT_TRUE(!name.empty() && name.size() <= 1024) << name;
    expect_there(groups_of(policy), state_.groups, name);
  }
  for (const auto& [name, port] : state_.ports) {
    expect_there(port.ingress(), state_.policies, name);
    expect_there(port.egress(), state_.policies, name);
  }
  sets_.clear();
}

PolicyTables::SetRef PolicyTables::build(const google::protobuf::RepeatedPtrField<std::string>& policies,
                                         bool ingress) const {
  std::vector<policy::Rule> rules;
  for (const std::string& name : policies) {
    const api::Policy& each = state_.policies.at(name);
    for (const api::PolicyRule& rule : ingress ? each.ingress() : each.egress()) {
      policy::Rule& made = rules.emplace_back();
      made.any_peer = rule.any_peer();
      for (const std::string& group : rule.groups()) {
        const auto& members = state_.groups.at(group).identities();
        made.groups.push_back(std::make_shared<const std::vector<policy::Identity>>(members.begin(), members.end()));
      }
      for (const api::IpBlock& block : rule.blocks()) {
        policy::IpBlock& one = made.blocks.emplace_back();
        one.cidr = prefix_of(block.cidr());
        for (const api::RoutePrefix& except : block.except()) one.except.push_back(prefix_of(except));
      }
      for (const api::PolicyPort& port : rule.ports()) {
        made.ports.push_back({static_cast<std::uint8_t>(port.protocol()), static_cast<std::uint16_t>(port.first()),
                              static_cast<std::uint16_t>(port.last())});
      }
    }
  }
  auto built = policy::RuleSet::build(rules);
  EXPECT_TRUE(built.ok()) << (built ? "" : built.error().message);
  return built ? *built : nullptr;
}

const PolicyTables::SetRef& PolicyTables::set_of(const std::string& port, bool ingress) {
  const auto [place, is_new] = sets_.try_emplace({port, ingress});
  if (is_new) {
    const api::PortPolicy& policy = state_.ports.at(port);
    const auto& names = ingress ? policy.ingress() : policy.egress();
    if (!names.empty()) place->second = build(names, ingress);
  }
  return place->second;
}

bool PolicyTables::allows(const std::string& port, bool ingress, const net::IpAddress& peer, const Question& asked) {
  if (!is_open(port)) return false;  // it awaits its policies
  const SetRef& set = set_of(port, ingress);
  if (set == nullptr) return true;
  const auto endpoint = state_.endpoints.find({peer.raw().begin(), peer.raw().end()});
  const policy::Identity identity =
      endpoint == state_.endpoints.end() ? policy::kNoIdentity : endpoint->second.identity();
  const auto rule = peer.is_v4() ? set->decide(identity, peer.v4(), asked.protocol, asked.port)
                                 : set->decide(identity, peer.v6(), asked.protocol, asked.port);
  return rule != policy::kNoRule;
}

bool PolicyTables::egress_allows(const std::string& port, const Question& asked) {
  return allows(port, false, asked.destination, asked);
}
bool PolicyTables::ingress_allows(const std::string& port, const Question& asked) {
  return allows(port, true, asked.source, asked);
}

void World::put(kube::Object object) {
  ObjectRef after = std::make_shared<const kube::Object>(std::move(object));
  const kube::ObjectKey key = kube::key_of(*after);
  compiler_.note({key, objects_[key], after});
  objects_[key] = after;
}

void World::remove(const kube::ObjectKey& key) {
  compiler_.note({key, objects_.at(key), nullptr});
  objects_.erase(key);
}

std::vector<LocalPort> World::local_ports() const {
  std::vector<LocalPort> ports;
  for (const auto& [key, object] : objects_) {
    const auto* pod = std::get_if<kube::Pod>(object.get());
    if (pod == nullptr || !is_attached(*pod)) continue;
    const auto generation = generation_.find(key);
    ports.push_back({port_of(pod->meta), generation == generation_.end() ? 1 : 1 + generation->second, key,
                     pod->is_over() ? std::vector<net::IpAddress>() : pod->addresses});
  }
  return ports;
}

const api::ApplyRequest& World::step() {
  compiler_.set_local_ports(local_ports());
  last_ = compiler_.take_changes();
  tables_.apply(last_);
  return last_;
}

bool World::allows(const Question& asked) {
  const kube::Pod* source = pod_at(objects_, asked.source);
  const kube::Pod* destination = pod_at(objects_, asked.destination);
  if (source != nullptr && is_attached(*source) && !tables_.egress_allows(port_of(source->meta), asked)) return false;
  return destination == nullptr || !is_attached(*destination) ||
         tables_.ingress_allows(port_of(destination->meta), asked);
}

bool World::naive_allows(const Question& asked) const {
  const kube::Pod* source = pod_at(objects_, asked.source);
  const kube::Pod* destination = pod_at(objects_, asked.destination);
  if (source != nullptr && is_attached(*source) && !egress_allows(objects_, *source, asked)) return false;
  return destination == nullptr || !is_attached(*destination) || ingress_allows(objects_, *destination, asked);
}

std::vector<std::string> lines_of(const PolicyState& state) {
  std::map<Identity, std::set<std::string>> addresses;
  for (const auto& [address, endpoint] : state.endpoints) {
    addresses[endpoint.identity()].insert(address_of(address).to_string());
  }
  std::vector<std::string> lines;
  for (const auto& [number, all] : addresses) {
    lines.push_back("identity of");
    for (const std::string& address : all) lines.back() += " " + address;
  }
  for (const auto& [name, group] : state.groups) {
    std::set<std::string> all;
    for (const Identity member : group.identities()) {
      EXPECT_TRUE(addresses.contains(member)) << name << " has an identity that nobody has";
      all.insert(addresses[member].begin(), addresses[member].end());
    }
    lines.push_back("group " + name + ":");
    for (const std::string& address : all) lines.back() += " " + address;
  }
  for (const auto& [name, policy] : state.policies) lines.push_back("policy " + policy.ShortDebugString());
  for (const auto& [name, port] : state.ports) lines.push_back("port " + port.ShortDebugString());
  std::ranges::sort(lines);
  return lines;
}

}  // namespace millrace::control::agent::policies
