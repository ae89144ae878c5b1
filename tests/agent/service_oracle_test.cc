// The compiler and the switch's table of services, against a naive evaluator written from the text of what Kubernetes
// expects of a proxy: one packet at a time, over all objects, with nothing prepared. It shares no code with the
// compiler.
#include <gtest/gtest.h>

#include <set>

#include "nat/service_table.h"
#include "tests/agent/cluster.h"
#include "tests/agent/naive_services.h"
#include "tests/agent/random_cluster.h"

namespace millrace::control::agent::services {
namespace {

std::uint8_t number_of(kube::Protocol protocol) {
  return protocol == kube::Protocol::kTcp ? 6 : protocol == kube::Protocol::kUdp ? 17 : 132;
}

net::IpAddress address_of(const std::string& bytes) {
  return net::IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}).value();
}

nat::FrontendRule to_rule(const api::FrontendRule& rule) {
  nat::FrontendRule made;
  made.action = rule.action() == api::FRONTEND_ACTION_BALANCE  ? nat::FrontendAction::kBalance
                : rule.action() == api::FRONTEND_ACTION_REJECT ? nat::FrontendAction::kReject
                                                               : nat::FrontendAction::kDrop;
  made.backend_set = static_cast<std::uint16_t>(rule.backend_set());
  made.masquerade = rule.masquerade();
  return made;
}

nat::ServiceSpec to_spec(const api::Service& service) {
  nat::ServiceSpec spec;
  spec.name = service.name();
  spec.affinity_seconds = service.affinity_seconds();
  for (const auto& set : service.backend_sets()) {
    auto& backends = spec.backend_sets.emplace_back();
    for (const auto& each : set.backends()) {
      backends.push_back({address_of(each.address()), static_cast<std::uint16_t>(each.port())});
    }
  }
  for (const auto& each : service.frontends()) {
    nat::FrontendSpec& frontend = spec.frontends.emplace_back();
    frontend.address = address_of(each.address());
    frontend.protocol = static_cast<std::uint8_t>(each.protocol());
    frontend.port = static_cast<std::uint16_t>(each.port());
    frontend.rules[0] = to_rule(each.from_pod());
    frontend.rules[1] = to_rule(each.from_node());
    frontend.rules[2] = to_rule(each.from_external());
    for (const auto& range : each.source_ranges()) {
      frontend.source_ranges.push_back({address_of(range.address()), static_cast<std::uint8_t>(range.length())});
    }
  }
  return spec;
}

using TableRef = std::shared_ptr<const nat::ServiceTable>;

TableRef table_of(const std::map<std::string, api::Service>& services) {
  std::vector<std::shared_ptr<const nat::Service>> built;
  for (const auto& [name, service] : services) {
    auto made = nat::build_service(to_spec(service));
    EXPECT_TRUE(made.ok()) << made.error().message;
    if (made) built.push_back(*made);
  }
  auto table = nat::ServiceTable::build(std::move(built));
  EXPECT_TRUE(table.ok()) << table.error().message;
  return *table;
}

template <typename Address>
Verdict table_verdict(const nat::ServiceTable& table, const Packet& packet, const Address& source,
                      const Address& destination) {
  constexpr int kHashes = 96;  // of at most 6 backends: one is not met with a chance of 2e-8
  std::mt19937_64 hashes(1);
  Verdict verdict;
  for (int i = 0; i < kHashes; ++i) {
    nat::ServiceChoice choice;
    const auto match =
        table.choose(source, destination, number_of(packet.protocol), packet.port, packet.from, hashes(), choice);
    if (match == nat::FrontendMatch::kOutOfRange) return {Verdict::kDrop, {}, false};
    if (match != nat::FrontendMatch::kFound) {
      for (const auto& range : kServiceRanges) {
        if (!range.contains(packet.destination)) continue;
        return {match == nat::FrontendMatch::kNoPort ? Verdict::kReject : Verdict::kDrop, {}, false};
      }
      return {};
    }
    if (choice.action != nat::FrontendAction::kBalance) {
      return {choice.action == nat::FrontendAction::kDrop ? Verdict::kDrop : Verdict::kReject, {}, false};
    }
    verdict.kind = Verdict::kForward;
    verdict.snat = choice.masquerade;
    verdict.backends.insert({choice.backend->address, choice.backend->port});
  }
  return verdict;
}

/// A service with affinity chooses by the client's address alone: what it may choose is asked of each backend.
void add_possible(const nat::ServiceTable& table, const Packet& packet, Verdict& verdict) {
  for (std::uint32_t net = 0; net < 2; ++net) {
    for (std::uint32_t host = 1; host < 8; ++host) {
      for (const std::uint16_t port : kTargets) {
        const std::string v4 = net == 0 ? "10.244.0.{}" : "10.244.1.{}",
                          v6 = net == 0 ? "fd00:244::{}" : "fd00:244:1::{}";
        const bool is_v4 = packet.destination.is_v4();
        const net::IpAddress backend = ip(fmt::format(fmt::runtime(is_v4 ? v4 : v6), host));
        const std::uint8_t protocol = number_of(packet.protocol);
        const bool possible =
            is_v4 ? table.has_backend(packet.destination.v4(), protocol, packet.port, packet.from, backend.v4(), port)
                  : table.has_backend(packet.destination.v6(), protocol, packet.port, packet.from, backend.v6(), port);
        if (possible) verdict.backends.insert({backend, port});
      }
    }
  }
}

Verdict compiled(const nat::ServiceTable& table, const Packet& packet) {
  Verdict verdict = packet.destination.is_v4()
                        ? table_verdict(table, packet, packet.source.v4(), packet.destination.v4())
                        : table_verdict(table, packet, packet.source.v6(), packet.destination.v6());
  if (verdict.kind == Verdict::kForward) add_possible(table, packet, verdict);
  return verdict;
}

// --- cases ---

Packet random_packet(Chance& chance) {
  Packet packet;
  packet.from = static_cast<SourceKind>(chance.below(3));
  const bool v4 = !chance.one_in(3);
  packet.source =
      ip(v4 ? fmt::format("192.0.2.{}", 100 + chance.below(56)) : fmt::format("2001:db8:{}::1", 8 + chance.below(3)));
  const std::vector<std::string> places = v4 ? std::vector<std::string>{"10.96.0.", "203.0.113.", "198.51.100."}
                                             : std::vector<std::string>{"fd00:96::", "2001:db8:1::", "2001:db8:2::"};
  const std::uint32_t number = 1 + chance.below(4);
  packet.destination = ip(fmt::format("{}{}", chance.of(places), number));
  packet.port = static_cast<std::uint16_t>(80 + chance.below(3));
  if (chance.one_in(3)) {
    packet.destination = kNode.addresses[v4 ? 0 : 1];
    packet.port = static_cast<std::uint16_t>(30000 + 10 * number + chance.below(2));
  }
  packet.protocol = random_protocol(chance);
  return packet;
}

/// To an address that some service has, most often with its port and protocol.
void aim(Chance& chance, const Objects& objects, Packet& packet) {
  const auto services = all<kube::Service>(objects);
  if (services.empty()) return;
  const kube::Service& service = *chance.of(services);
  const kube::ServicePort& port = chance.of(service.ports);
  std::vector<net::IpAddress> addresses = service.cluster_ips;
  for (const auto* more : {&service.external_ips, &service.load_balancer_ingress, &kNode.addresses}) {
    addresses.insert(addresses.end(), more->begin(), more->end());
  }
  const net::IpAddress destination = chance.of(addresses);
  if (destination.family != packet.destination.family) return;
  packet.destination = destination;
  const bool is_node = std::ranges::find(kNode.addresses, destination) != kNode.addresses.end();
  if (!chance.one_in(8)) packet.port = is_node ? port.node_port : port.port;
  if (!chance.one_in(8)) packet.protocol = port.protocol;
}

std::string text_of(const Verdict& verdict) {
  if (verdict.kind == Verdict::kPass) return "pass";
  if (verdict.kind != Verdict::kForward) return verdict.kind == Verdict::kDrop ? "drop" : "reject";
  std::string text = verdict.snat ? "forward+snat" : "forward";
  for (const auto& [address, port] : verdict.backends) text += fmt::format(" {}:{}", address.to_string(), port);
  return text;
}

std::map<std::string, api::Service> compile_all(const Objects& objects) {
  Cluster cluster(kNode);
  for (const auto& [key, object] : objects) {
    std::visit([&](const auto& typed) { cluster.put(typed); }, *object);
  }
  cluster.step();
  return cluster.in_switch();
}

bool differs(const Objects& objects, const Packet& packet) {
  return naive(objects, packet) != compiled(*table_of(compile_all(objects)), packet);
}

/// The case without the objects it does not need.
std::string smallest(Objects objects, const Packet& packet) {
  const Objects before = objects;
  for (const auto& [key, object] : before) {
    Objects fewer = objects;
    fewer.erase(key);
    if (differs(fewer, packet)) objects = std::move(fewer);
  }
  std::string text = fmt::format("{} -> {} port {} protocol {} from {}\n", packet.source.to_string(),
                                 packet.destination.to_string(), packet.port, number_of(packet.protocol),
                                 packet.from == SourceKind::kPod    ? "a pod"
                                 : packet.from == SourceKind::kNode ? "the node"
                                                                    : "outside");
  for (const auto& [key, object] : objects) text += kube::to_string(key) + "\n";
  const auto services = compile_all(objects);
  for (const std::string& line : lines_of(services)) text += "  " + line + "\n";
  return text + fmt::format("naive: {}\ncompiled: {}\n", text_of(naive(objects, packet)),
                            text_of(compiled(*table_of(services), packet)));
}

TEST(ServiceOracle, compiled_services_do_what_the_text_says) {
  constexpr std::uint32_t kClusters = 6000, kObjects = 24, kPackets = 40;
  std::map<Verdict::Kind, std::uint32_t> seen;
  for (std::uint32_t seed = 1; seed <= kClusters; ++seed) {
    Chance chance(seed);
    Objects objects;
    for (std::uint32_t i = 0; i < kObjects; ++i) {
      const auto object = std::make_shared<const kube::Object>(random_object(chance, false));
      objects[kube::key_of(*object)] = object;
    }
    const TableRef table = table_of(compile_all(objects));
    for (std::uint32_t i = 0; i < kPackets; ++i) {
      Packet packet = random_packet(chance);
      if (!chance.one_in(4)) aim(chance, objects, packet);
      const Verdict want = naive(objects, packet);
      ++seen[want.kind];
      ASSERT_EQ(text_of(compiled(*table, packet)), text_of(want)) << "seed " << seed << "\n"
                                                                  << smallest(objects, packet);
    }
  }
  for (const auto kind : {Verdict::kPass, Verdict::kForward, Verdict::kReject, Verdict::kDrop}) {
    EXPECT_GT(seen[kind], 1000u) << "a kind of verdict that hardly came up: " << kind;
  }
}

TEST(ServiceOracle, a_history_of_changes_compiles_to_what_the_end_alone_does) {
  constexpr std::uint32_t kHistories = 150, kSteps = 60;
  for (std::uint32_t seed = 1; seed <= kHistories; ++seed) {
    Chance chance(seed);
    Cluster cluster(kNode);
    for (std::uint32_t step = 0; step < kSteps; ++step) {
      if (chance.one_in(3) && !cluster.objects().empty()) {
        const auto count = static_cast<std::uint32_t>(cluster.objects().size());
        const kube::ObjectKey key = std::next(cluster.objects().begin(), chance.below(count))->first;
        cluster.remove(key.kind, key.name, key.name_space);
      } else {
        std::visit([&](auto typed) { cluster.put(std::move(typed)); }, random_object(chance, true));
      }
      if (chance.one_in(2)) continue;  // several changes at once
      cluster.step();
      ASSERT_EQ(lines_of(cluster.in_switch()), lines_of(compile_all(cluster.objects())))
          << "seed " << seed << " step " << step;
    }
  }
}

}  // namespace
}  // namespace millrace::control::agent::services
