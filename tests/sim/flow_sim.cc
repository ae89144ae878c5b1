// Frames and time: who says what, how it travels, and when workers turn.
#include "tests/sim/flow_sim.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sim/flow_sim_names.h"

namespace millrace::tests {
namespace {

namespace ip_protocol = net::ip_protocol;

constexpr std::size_t kLogLines = 40;
constexpr std::uint16_t kFirstClientPort = 20'000;
constexpr int kMostRounds = 64;
constexpr std::uint16_t kServerPort = 8'080;  // of servers that are asked directly
constexpr unsigned kLossPercent = 3, kDoublePercent = 3, kLatePercent = 5;

SwitchShape shape_of(Weather weather, unsigned workers, std::uint64_t seed, nat::PortRange ports) {
  const bool is_storm = weather == Weather::kStorm;
  const bool is_short = is_storm && seed % 5 != 0;  // of buffers
  SwitchShape shape;
  shape.workers = workers;
  shape.port_limit = kPortLimit;
  shape.packets = is_short ? 400 + seed % 7 * 100 : 4096;
  shape.ring_size = is_storm ? 16 + seed % 5 * 16 : weather == Weather::kSqueeze ? 64 : 1024;
  shape.flows = {.limit = is_storm ? nat::kMinFlowLimit : 8192, .seed = seed, .pick_up_tcp = seed % 3 != 0};
  shape.masquerade_ports = ports;
  return shape;
}

nat::PortRange ports_of(Weather weather, unsigned workers, std::uint64_t seed) {
  const auto few = static_cast<std::uint32_t>(workers * (6 + seed % 30));
  return {40'000, weather == Weather::kStorm ? few : 8192};
}

}  // namespace

FlowSim::FlowSim(std::uint64_t seed, Weather weather)
    : random_(seed),
      weather_(weather),
      workers_(1 + static_cast<unsigned>(seed % 4)),
      masquerade_ports_(ports_of(weather, workers_, seed)),
      world_(shape_of(weather, workers_, seed, masquerade_ports_)),
      has_uplink_(seed / 4 % 2 == 1) {
  Actor& world = actors_[kHost];
  world = {.port = kHost, .is_pod = false, .addresses = {}, .server = {}, .reassembly = {}};
  for (const char* const address : kWorldAddresses) world.addresses.push_back(address_of(address));
  world.worker = static_cast<datapath::WorkerId>(below(workers_));
  world_.add_host(kHost, world.worker);
  if (has_uplink_) world_.add_uplink(kUplink, static_cast<datapath::WorkerId>(below(workers_)));
  world_.nat.masquerade_v4 = v4(kNodeV4);
  world_.nat.masquerade_v6 = v6(kNodeV6);
  for (const char* const prefix : {"10.244.0.0/16", "192.0.2.1/32", "fd00:10:244::/64", "2001:db8::1/128"})
    world_.nat.not_masqueraded.push_back(net::Prefix::parse(prefix).value());
  for (const char* const prefix : {"10.96.0.0/12", "fd00:10:96::/112"})
    world_.nat.service_prefixes.push_back(net::Prefix::parse(prefix).value());
  world_.nat.node_addresses = {address_of(kNodeV4), address_of(kNodeV6)};
  for (int i = 0; i < 3; ++i) add_pod();
  make_frontends();
  publish();
}

void FlowSim::run(unsigned actions) {
  for (unsigned i = 0; i < actions && !testing::Test::HasFailure(); ++i) {
    act();
    world_.check_law();
    if (i % 64 == 63) settle();
  }
  if (!testing::Test::HasFailure()) finish();
}

void FlowSim::act() {
  const std::uint64_t choice = below(1000);
  if (choice < 250) return begin_conversation();
  if (choice < 600) return step_one();
  if (choice < 850) {
    deliver(static_cast<net::PortId>(below(kPortLimit)));
    return;
  }
  if (choice < 870) return change_backends();
  if (choice < 880) return add_pod();
  if (choice < 890) {
    world_.reclaim();
    return;
  }
  if (!is_calm() && choice < 897) return squeeze();
  if (!is_storm()) return;
  if (choice < 910) return remove_pod();
  if (choice < 918) return rebind_pod();
  if (choice < 940) return move_clock();
  if (choice < 960) return probe();
  if (choice < 970) return deliver_late();
  repeat_some();
}

void FlowSim::begin_conversation() {
  Actor& client = any_actor();
  Conversation conversation;
  conversation.id = static_cast<std::uint32_t>(conversations_.size());
  conversation.client = client.incarnation;
  conversation.client_masquerades = client.masquerade;
  const bool is_v4 = below(2) == 0;
  std::vector<net::IpAddress> own;
  for (const net::IpAddress& address : client.addresses)
    if (address.is_v4() == is_v4) own.push_back(address);
  Tuple& asked = conversation.asked;
  asked.source = own[below(own.size())];
  asked.source_port = static_cast<std::uint16_t>(kFirstClientPort + below(is_storm() ? 40 : 150));
  conversation.kind = kind_of(client, asked.source);
  const std::uint64_t choice = below(12);
  const bool is_chosen = choice == 0  ? choose_mapped(conversation, client, is_v4)
                         : choice < 8 ? choose_frontend(conversation, is_v4)
                                      : choose_server(conversation, client, is_v4);
  if (!is_chosen) return;
  for (const std::uint32_t id : open_) {
    const Tuple& other = conversations_[id].asked;
    if (source_of(other) == source_of(asked)) return;  // a port has one conversation at a time
  }
  conversation.may_be_apart =
      !used_ports_.insert(source_of(asked)).second || sent_.contains(asked.reversed());  // pings both ways
  conversations_.push_back(conversation);
  open_.push_back(conversation.id);
  ++totals_.asked;
  note(fmt::format("{} asks {}", conversation.id, asked.text()));
  send(client, says(conversation));
}

bool FlowSim::choose_frontend(Conversation& conversation, bool is_v4) {
  const std::size_t index = below(frontends_.size());
  const Frontend& frontend = frontends_[index];
  if (frontend.address.is_v4() != is_v4) return false;
  conversation.frontend = static_cast<int>(index);
  conversation.asked.protocol = frontend.protocol;
  conversation.asked.destination = frontend.address;
  conversation.asked.destination_port = frontend.port;
  return true;
}

bool FlowSim::choose_server(Conversation& conversation, const Actor& client, bool is_v4) {
  const Actor& server = any_actor();
  if (server.incarnation == client.incarnation) return false;
  Tuple& asked = conversation.asked;
  const bool is_echo = below(3) == 0;
  constexpr std::uint8_t kWithPorts[] = {ip_protocol::kTcp, ip_protocol::kTcp, ip_protocol::kUdp, ip_protocol::kUdp,
                                         ip_protocol::kSctp};
  asked.protocol = !is_echo ? kWithPorts[below(std::size(kWithPorts))]
                   : is_v4  ? ip_protocol::kIcmp
                            : ip_protocol::kIcmpv6;
  do asked.destination = server.addresses[below(server.addresses.size())];
  while (asked.destination.is_v4() != is_v4);
  // An identifier is its sender's choice: it may be one that masquerade gives.
  if (is_echo && client.is_pod && below(4) == 0) {
    asked.source_port = static_cast<std::uint16_t>(masquerade_ports_.first + below(masquerade_ports_.count));
  }
  asked.destination_port = is_echo ? asked.source_port : kServerPort;
  return true;
}

/// A pod asks another by the port of the node's that its packets leave with (RFC 4787 REQ-9).
bool FlowSim::choose_mapped(Conversation& conversation, const Actor& client, bool is_v4) {
  if (!client.is_pod) return false;
  check_ports(false);
  std::vector<End> ports;
  for (const auto& [outside, inside] : mappings_) {
    if (!tests::is_echo(outside.protocol) && outside.address.is_v4() == is_v4 && is_pods(inside.address))
      ports.push_back(outside);
  }
  if (ports.empty()) return false;
  conversation.mapped = ports[below(ports.size())];
  conversation.asked.protocol = conversation.mapped->protocol;
  conversation.asked.destination = conversation.mapped->address;
  conversation.asked.destination_port = conversation.mapped->port;
  ++totals_.mapped;
  return true;
}

/// To ports that may belong to anybody or nobody, many at once: what fills tables.
void FlowSim::probe() {
  Actor& client = any_actor();
  Tuple asked;
  asked.protocol = ip_protocol::kUdp;
  asked.source = client.addresses[below(2)];
  const bool is_v4 = asked.source.is_v4();
  const bool is_masquerade_port = below(3) == 0;
  asked.destination =
      address_of(is_masquerade_port ? (is_v4 ? kNodeV4 : kNodeV6) : (is_v4 ? "198.51.100.1" : "2001:db8:1::1"));
  asked.destination_port =
      is_masquerade_port ? static_cast<std::uint16_t>(masquerade_ports_.first + below(masquerade_ports_.count + 2))
                         : kServerPort;
  note(fmt::format("probes {}", asked.text()));
  for (std::uint64_t i = below(60); i > 0; --i) {
    asked.source_port = static_cast<std::uint16_t>(kFirstClientPort + 1000 + below(20'000));
    Conversation& probe = conversations_.emplace_back();
    probe.id = static_cast<std::uint32_t>(conversations_.size() - 1);
    probe.client = client.incarnation;
    probe.is_probe = true;
    probe.phase = Phase::kDone;
    probe.asked = asked;
    send(client, says(probe));
  }
}

void FlowSim::repeat_some() {
  for (const std::uint32_t id : std::vector<std::uint32_t>(open_)) {
    Conversation& conversation = conversations_[id];
    Actor* const client = actor_of(conversation.client);
    if (client == nullptr || !conversation.is_open() || below(8) == 0) {
      // Given up, with no word to the server.
      std::erase(open_, id);
      conversation.phase = Phase::kDone;
    } else if (chance(30)) {
      note(fmt::format("{} repeats", id));
      send(*client, says(conversation));
    }
  }
}

void FlowSim::move_clock() {
  if (!chance(10)) {
    world_.now_ns += below(1'000'000'000);
    return;
  }
  const std::uint64_t seconds = below(400);
  note(fmt::format("{} s pass", seconds));
  world_.now_ns += seconds * 1'000'000'000;
  // What is established lives for hours (RFC 5382 REQ-5); what closes, for minutes.
  for (const std::uint32_t id : open_) {
    if (conversations_[id].phase != Phase::kData) conversations_[id].unpin();
  }
}

void FlowSim::step_one() {
  const auto worker = static_cast<datapath::WorkerId>(below(workers_));
  world_.now_ns += below(1'000'000);
  world_.step(worker);
}

void FlowSim::send(Actor& actor, const std::vector<Message>& messages) {
  for (const Message& message : messages) {
    sent_.insert(message.tuple);
    // Fragments of SCTP cannot be translated (nat/translate.h).
    const bool may_be_cut = message.tuple.protocol != ip_protocol::kTcp && message.tuple.protocol != ip_protocol::kSctp;
    const bool is_cut = may_be_cut && !message.quoted && below(8) == 0;
    const std::string own_mac = pod_mac(actor.is_pod ? actor.number : 0xff);
    auto frames = write(message, own_mac, kGatewayMac, is_cut ? next_fragment_++ : std::uint16_t{0});
    if (frames.size() > 1) ++totals_.fragmented;
    if (is_storm() && below(4) == 0) std::reverse(frames.begin(), frames.end());
    const bool by_uplink = comes_by_uplink(actor, message);
    for (const Bytes& frame : frames) {
      if (is_storm() && chance(kLossPercent)) continue;
      if (is_storm() && chance(kLatePercent)) {
        late_.push_back({actor.incarnation, true, by_uplink, frame});
        continue;
      }
      put(actor, by_uplink, frame);
      if (is_storm() && chance(kDoublePercent)) put(actor, by_uplink, frame);
    }
  }
}

void FlowSim::put(const Actor& actor, bool by_uplink, const Bytes& frame) {
  const bool was_taken = world_.send(by_uplink ? kUplink : actor.port, frame);
  if (is_calm()) { ASSERT_TRUE(was_taken); }
}

std::size_t FlowSim::deliver(net::PortId port) {
  if (port == kUplink && has_uplink_) { EXPECT_EQ(world_.receive(kUplink).size(), 0u) << "nothing leaves by it"; }
  Actor* const actor = actor_at(port);
  if (actor == nullptr) return 0;
  const auto frames = world_.receive(port);
  for (const Bytes& frame : frames) {
    if (is_storm() && chance(kLossPercent)) continue;
    if (is_storm() && chance(kLatePercent)) {
      late_.push_back({actor->incarnation, false, false, frame});
      continue;
    }
    receive(*actor, frame);
    if (is_storm() && chance(kDoublePercent)) receive(*actor, frame);
  }
  return frames.size();
}

void FlowSim::deliver_late() {
  std::deque<Late> late;
  late.swap(late_);
  std::shuffle(late.begin(), late.end(), random_);
  for (const Late& each : late) {
    Actor* const actor = actor_of(each.incarnation);
    if (actor == nullptr) continue;
    each.to_switch ? put(*actor, each.by_uplink, each.frame) : receive(*actor, each.frame);
  }
}

/// Until nobody has anything to say. In calm weather every question is answered by then; in a squeeze, asked again.
void FlowSim::settle() {
  drain();
  for (int round = 0; weather_ == Weather::kSqueeze && round < kMostRounds && !open_.empty(); ++round) {
    ask_again();
    drain();
  }
  world_.run();
  world_.check_law();
  check_ports(true);
  if (!is_storm()) check_all_answered();
}

void FlowSim::drain() {
  for (std::size_t moved = 1; moved != 0 && !testing::Test::HasFailure();) {
    world_.run();
    moved = 0;
    for (net::PortId port = 0; port < kPortLimit; ++port) moved += deliver(port);
  }
}

void FlowSim::finish() {
  settle();
  is_over_ = true;  // what arrives is checked, and answered by nobody
  late_.clear();
  publish();
  settle();
  // The longest timer and the eighth it may be stretched by; then rounds of the sweep.
  constexpr std::uint64_t kLongEnoughNs = 9'000'000'000'000;
  world_.now_ns += kLongEnoughNs;
  for (int round = 0; round < 4; ++round) {
    world_.now_ns += std::uint64_t{datapath::kSweepMs} * 1'000'000;
    for (datapath::WorkerId id = 0; id < workers_; ++id)
      for (int slice = 0; slice < 8; ++slice, world_.now_ns += 1'000'000'000) world_.step(id);
  }
  for (datapath::WorkerId id = 0; id < workers_; ++id) {
    EXPECT_FALSE(world_.step(id).has_flows) << "worker " << id;
    const datapath::FlowCounters& flows = world_.counters(id).flows;
    EXPECT_EQ(flows.created.get(), flows.ended.get()) << "worker " << id;
    EXPECT_EQ(flows.flows_v4.get() + flows.flows_v6.get(), 0u) << "worker " << id;
    totals_.evicted += flows.evicted.get();
    for (std::size_t i = 0; i < datapath::kPortProtocols.size(); ++i)
      EXPECT_EQ(flows.ports_v4[i].get() + flows.ports_v6[i].get(), 0u) << "ports of worker " << id << " are held";
  }
  totals_.handoff_ring_full = world_.drops(net::Drop::kHandoffRingFull);
  totals_.tx_ring_full = world_.drops(net::Drop::kTxRingFull);
  for (const auto& [port, actor] : actors_) world_.receive(port);
  EXPECT_EQ(world_.rings().size(), 0u);
  EXPECT_EQ(world_.reclaim(), 1u) << "snapshots that nobody needs are still held";
  EXPECT_EQ(world_.pool().free_count(), world_.pool().size()) << "packets were lost";
}

void FlowSim::note(std::string action) {
  log_.push_back(std::move(action));
  if (log_.size() > kLogLines) log_.pop_front();
}

std::string FlowSim::log() const {
  std::string text = fmt::format("workers {}, drops {}\n", workers_, world_.drop_text());
  for (const std::string& line : log_) text.append(line).append("\n");
  return text;
}

}  // namespace millrace::tests
