// What control does meanwhile: pods, backends, snapshots.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sim/flow_sim.h"
#include "tests/sim/flow_sim_names.h"

namespace millrace::tests {

namespace ip_protocol = net::ip_protocol;

void FlowSim::make_frontends() {
  struct Row {
    const char* address;
    std::uint8_t protocol;
    std::uint16_t port, target_port;
    bool pod, node, external;  // masqueraded?
    std::uint32_t affinity_seconds;
  };
  const Row rows[] = {
      {"10.96.0.10", ip_protocol::kUdp, 53, 5353, false, true, true, 0},
      {"10.96.0.11", ip_protocol::kTcp, 80, 8081, false, true, true, 0},
      {"10.96.0.12", ip_protocol::kTcp, 80, 8082, false, true, true, 100},
      {"10.96.0.13", ip_protocol::kSctp, 90, 9090, false, true, true, 0},
      {"fd00:10:96::13", ip_protocol::kSctp, 90, 9090, false, true, true, 100},
      {"192.0.2.1", ip_protocol::kSctp, 30502, 9091, true, false, true, 0},
      {"fd00:10:96::10", ip_protocol::kUdp, 53, 5353, false, true, true, 0},
      {"fd00:10:96::11", ip_protocol::kTcp, 80, 8081, false, true, true, 50},
      {"192.0.2.1", ip_protocol::kTcp, 30500, 8083, true, true, true, 0},
      {"192.0.2.1", ip_protocol::kUdp, 30501, 5354, false, true, false, 0},
      {"2001:db8::1", ip_protocol::kTcp, 30500, 8083, false, true, false, 0},
      {"2001:db8::1", ip_protocol::kUdp, 30501, 5354, true, true, true, 0},
  };
  for (const Row& row : rows) {
    Frontend frontend{row.protocol,
                      address_of(row.address),
                      row.port,
                      row.target_port,
                      {row.pod, row.node, row.external},
                      row.affinity_seconds,
                      {},
                      {}};
    choose_backends(frontend);
    frontends_.push_back(frontend);
  }
}

/// Some pods of now, and at times an address of the world. In calm weather never nobody.
void FlowSim::choose_backends(Frontend& frontend) {
  frontend.backends.clear();
  const bool is_v4 = frontend.address.is_v4();
  for (const auto& [port, actor] : actors_) {
    if (actor.is_pod && chance(60)) frontend.backends.push_back({actor.addresses[is_v4 ? 0 : 1], frontend.target_port});
  }
  if (chance(10)) frontend.backends.push_back({actors_.at(kHost).addresses[is_v4 ? 0 : 1], frontend.target_port});
  if (frontend.backends.empty() && !(is_storm() && chance(30))) {
    for (const auto& [port, actor] : actors_)
      if (actor.is_pod) frontend.backends.push_back({actor.addresses[is_v4 ? 0 : 1], frontend.target_port});
  }
  frontend.ever.insert(frontend.backends.begin(), frontend.backends.end());
}

void FlowSim::change_backends() {
  const std::size_t index = below(frontends_.size());
  choose_backends(frontends_[index]);
  std::string text;
  for (const nat::Backend& backend : frontends_[index].backends) text.append(" ").append(backend.address.to_string());
  note(fmt::format("frontend {}:{} has{}", frontends_[index].address.to_string(), frontends_[index].port, text));
  publish();
}

void FlowSim::publish() {
  world_.services.clear();
  for (const Frontend& frontend : frontends_) {
    nat::ServiceSpec service;
    service.name = fmt::format("{} {}", frontend.address.to_string(), frontend.port);
    service.affinity_seconds = frontend.affinity_seconds;
    service.backend_sets = {frontend.backends};
    nat::FrontendSpec spec;
    spec.address = frontend.address;
    spec.protocol = frontend.protocol;
    spec.port = frontend.port;
    for (unsigned kind = 0; kind < nat::kSourceKinds; ++kind)
      spec.rules[kind] = {nat::FrontendAction::kBalance, 0, frontend.masquerade[kind]};
    service.frontends = {spec};
    world_.services.push_back(service);
  }
  world_.publish();
}

void FlowSim::add_pod() {
  const auto port = static_cast<net::PortId>(1 + below(kPodPorts));
  const auto number = static_cast<unsigned>(1 + below(kPodNumbers));
  const bool is_taken = std::any_of(actors_.begin(), actors_.end(), [&](const auto& each) {
    return each.first == port || (each.second.is_pod && each.second.number == number);
  });
  if (is_taken) return;
  Actor& pod = actors_[port];
  pod = {.incarnation = next_incarnation_++,
         .port = port,
         .number = number,
         .masquerade = number % 4 != 0,  // of whoever has the number: flows outlive pods
         .worker = static_cast<datapath::WorkerId>(below(workers_)),
         .addresses = {address_of(pod_v4(number)), address_of(pod_v6(number))},
         .server = {},
         .reassembly = {}};
  add_port(pod);
  note(fmt::format("pod {} begins on port {}, worker {}", number, port, pod.worker));
  if (world_.generation() > 0 && (!is_storm() || chance(80))) publish();
}

void FlowSim::add_port(Actor& pod) { world_.add_pod(pod.port, pod.number, pod.worker).masquerade = pod.masquerade; }

void FlowSim::remove_pod() {
  Actor& pod = any_actor();
  if (!pod.is_pod) return;
  note(fmt::format("pod {} ends on port {}", pod.number, pod.port));
  for (Frontend& frontend : frontends_) {
    std::erase_if(frontend.backends, [&](const nat::Backend& backend) { return pod.has(backend.address); });
  }
  // Its address may soon be another's: what was agreed with it holds no more.
  for (Conversation& conversation : conversations_) {
    if (!conversation.backend || pod.has(conversation.backend->first)) conversation.unpin();
  }
  world_.remove(pod.port);
  actors_.erase(pod.port);
  publish();
}

/// The same pod by another port, id and worker: its flows stay behind with the worker before.
void FlowSim::rebind_pod() {
  Actor& pod = any_actor();
  const auto port = static_cast<net::PortId>(1 + below(kPodPorts));
  if (!pod.is_pod || actors_.contains(port)) return;
  world_.remove(pod.port);
  auto node = actors_.extract(pod.port);
  node.key() = port;
  Actor& moved = actors_.insert(std::move(node)).position->second;
  moved.port = port;
  moved.worker = static_cast<datapath::WorkerId>(below(workers_));
  add_port(moved);
  for (Conversation& conversation : conversations_) {
    if (conversation.client == moved.incarnation) conversation.may_be_apart = true;
    // The client's flow stays behind with the worker before. And a port that is new is that of a new pod, whatever its
    // address (renew_flow.cc): who was connected to it is served anew.
    const bool may_be_its = !conversation.backend || moved.has(conversation.backend->first);
    if (conversation.client == moved.incarnation || may_be_its) conversation.unpin();
  }
  ++totals_.rebound;
  note(fmt::format("pod {} moves to port {}, worker {}", moved.number, port, moved.worker));
  publish();
}

Actor& FlowSim::any_actor() {
  auto actor = actors_.begin();
  std::advance(actor, static_cast<std::ptrdiff_t>(below(actors_.size())));
  return actor->second;
}

Actor* FlowSim::actor_at(net::PortId port) {
  const auto found = actors_.find(port);
  return found == actors_.end() ? nullptr : &found->second;
}

Actor* FlowSim::actor_of(unsigned incarnation) {
  for (auto& [port, actor] : actors_)
    if (actor.incarnation == incarnation) return &actor;
  return nullptr;
}

}  // namespace millrace::tests
