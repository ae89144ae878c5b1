#include "control/agent/agent.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

#include "control/agent/agent_service.h"
#include "control/agent/bird_control.h"
#include "control/agent/bird_export.h"
#include "control/agent/cluster/cluster_link.h"
#include "control/agent/cluster/cluster_objects.h"
#include "control/agent/cluster/membership.h"
#include "control/agent/cluster_routes.h"
#include "control/agent/from_config.h"
#include "control/agent/host_forwarding.h"
#include "control/agent/host_port.h"
#include "control/agent/link_watch.h"
#include "control/agent/node_follower.h"
#include "control/agent/node_link.h"
#include "control/agent/node_report.h"
#include "control/agent/object_manager.h"
#include "control/agent/pod_manager.h"
#include "control/agent/pod_socket.h"
#include "control/agent/policies/keeper.h"
#include "control/agent/port_specs.h"
#include "control/agent/reconcile.h"
#include "control/agent/requests.h"
#include "control/agent/reserved_ports.h"
#include "control/agent/service_routes.h"
#include "control/agent/services/keeper.h"
#include "control/agent/store.h"
#include "control/agent/switch_client.h"
#include "control/agent/uplink.h"
#include "control/agent/waiting_service.h"
#include "control/api/unix_socket.h"
#include "control/netlink/netlink.h"

namespace millrace::control::agent {
namespace {

constexpr std::chrono::milliseconds kStopGrace{5000};
/// A switch that is there takes the state within this; one that is not is no reason to wait longer.
constexpr std::chrono::milliseconds kFirstSync{500};
/// What etcd is reached by waits so long for the switch, and for a device to be opened.
constexpr std::chrono::milliseconds kSwitchPatience{5000};
/// How long the first state of the switch waits for that of the cluster; then it is what was known the last time.
constexpr std::chrono::milliseconds kFirstState{10'000};
/// Between two tries to have a first block of addresses.
constexpr std::chrono::milliseconds kJoinPause{1000};

/// Of the switch's first state: the host port, the pods that are there, the uplink.
std::vector<api::PortSpec> first_ports(const config::Config& config, const NodeNetwork& node, const HostPort& host,
                                       const net::Mac& host_mac, const std::vector<Attachment>& pods) {
  std::vector<api::PortSpec> ports = {host_port(config, host.blocks, host_mac)};
  for (const Attachment& attachment : pods) ports.push_back(pod_port(attachment, node.masquerades()));
  if (node.uplink) {
    // The kernel would tell itself, not the pod, that a masqueraded packet is too large for the uplink: the switch
    // does.
    ports.front().set_mtu(std::min(config.mtu, node.uplink->mtu));
    for (api::PortSpec& port : uplink_ports(config, *node.uplink)) ports.push_back(std::move(port));
  }
  return ports;
}

/// A cluster needs what the other nodes are reached by.
net::Result<void> check_underlay(const NodeNetwork& node) {
  if (!node.uplink) {
    return net::failed_precondition("uplink: auto: there is no default route; store: etcd needs an uplink: name it");
  }
  if (node.addresses.empty()) {
    return net::failed_precondition(
        fmt::format("uplink: {} has no address for other nodes to reach; give it one, or set nodeAddresses",
                    node.uplink->interface));
  }
  return {};
}

std::set<net::Prefix> prefixes_of(const std::vector<AddressBlock>& blocks) {
  std::set<net::Prefix> prefixes;
  for (const AddressBlock& block : blocks) prefixes.insert(block.block());
  return prefixes;
}

/// The routers send nothing here any more. A BIRD that is away learns it from the file.
net::Result<void> withdraw_from_bird(const config::Config& config) {
  if (config.bird.config_file.empty()) return {};
  auto replaced = replace_file(config.bird.config_file, bird_config(config.node_name, {}));
  if (!replaced) return replaced.error();
  if (!*replaced || config.bird.control_socket.empty()) return {};
  auto told = tell_bird_to_configure(config.bird.control_socket, BirdExport::kAnswerTimeout);
  if (!told) spdlog::warn("bird: {}", told.error().message);
  return {};
}

/// Blocks of other nodes that the tunnels lead to; their own addresses are the kernel's to reach.
ClusterRoutes::Blocks blocks_of(const std::vector<api::Tunnel>& tunnels,
                                const std::vector<config::AddressPool>& pools) {
  ClusterRoutes::Blocks blocks;
  for (const api::Tunnel& tunnel : tunnels) {
    for (const api::RoutePrefix& route : tunnel.prefixes()) {
      const auto address = to_address("address", route.address());
      const auto holds = [&](const config::AddressPool& pool) { return address && pool.prefix.contains(*address); };
      if (std::ranges::any_of(pools, holds)) blocks.insert({*address, static_cast<std::uint8_t>(route.length())});
    }
  }
  return blocks;
}

}  // namespace

/// In the order of their making; ended in the opposite one.
struct Agent::Parts {
  config::Config config;  // with the MTU that is in force
  NodeNetwork node;
  std::unique_ptr<Store> store;
  std::unique_ptr<NodeBlocks> blocks = std::make_unique<NodeBlocks>();
  std::unique_ptr<SwitchClient> the_switch;
  std::unique_ptr<PodManager> pods;
  std::vector<config::AddressPool> pools;
  std::unique_ptr<ClusterRoutes> routes;             // of one node alone: nullptr
  std::unique_ptr<BirdExport> bird;                  // not configured: nullptr
  std::unique_ptr<cluster::ClusterLink> link;        // of one node alone: nullptr
  std::unique_ptr<cluster::Membership> membership;   // so is this
  std::unique_ptr<cluster::ClusterObjects> cluster;  // and this
  std::unique_ptr<ObjectManager> own_objects;        // in the cluster: nullptr
  std::unique_ptr<policies::Keeper> policies;
  std::unique_ptr<services::Keeper> keeper;
  std::unique_ptr<NodeFollower> follower;
  std::unique_ptr<NodeReport> report;
  std::unique_ptr<AgentService> service;
  std::unique_ptr<api::UnixServer> server;
  std::unique_ptr<LinkWatch> watch;

  Parts() = default;
  /// The link tells the parts that are made after it, and the membership the switch.
  ~Parts() {
    if (membership) membership->stop();
    if (link) link->stop();
  }
  ObjectManager& objects() { return cluster ? cluster->objects() : *own_objects; }
  /// The configuration's blocks, or the cluster's. False: it was asked to stop meanwhile.
  net::Result<bool> find_blocks(const StopRequested& wait);
  net::Result<bool> join(const StopRequested& wait);
  /// A device that DPDK drives is this node's way to etcd, too.
  void open_uplink_device();
  net::Result<void> open_objects();
  /// The node's end of the pods' network, and the line to the switch, not started yet.
  net::Result<void> make_host(const std::vector<Attachment>& pods);
  /// What there is goes to the switch with its first state, and what changes follows.
  void start_keepers(const HostPort& host);
  net::Result<void> serve();
  void follow_cluster(const HostPort& host, ClusterRoutes::Blocks others);
};

net::Result<bool> Agent::Parts::find_blocks(const StopRequested& wait) {
  if (config.store == config::Store::kEmbedded) {
    auto configured = configured_blocks(config);
    if (!configured) return configured.error();
    for (const AddressBlock& block : *configured) blocks->add(block);
    return true;
  }
  if (auto checked = check_underlay(node); !checked) return checked.error();
  open_uplink_device();
  pools = pools_in_use(config);
  auto made = cluster::ClusterLink::open(cluster_link_of(config));
  if (!made) return made.error();
  link = *std::move(made);
  auto opened = cluster::Membership::open(config, *link, *store, *blocks, node.addresses, pools);
  if (!opened) return opened.error();
  membership = *std::move(opened);
  return join(wait);
}

net::Result<bool> Agent::Parts::join(const StopRequested& wait) {
  WaitingService waiting(config.node_name);
  std::unique_ptr<api::UnixServer> meanwhile;
  while (true) {
    auto joined = membership->join();
    if (joined) return true;
    if (!wait || joined.error().code == net::ErrorCode::kFailedPrecondition) return joined.error();
    const std::string reason = joined.error().message + ": no address block yet";
    waiting.set_reason(reason);
    if (!meanwhile) {
      spdlog::warn("{}; it is tried again", reason);
      auto listening = api::UnixServer::listen(config.agent_socket(), waiting);
      if (!listening) return listening.error();
      meanwhile = *std::move(listening);
    }
    if (wait(kJoinPause)) return false;
    open_uplink_device();
  }
}

void Agent::Parts::open_uplink_device() {
  if (config.uplink_device.empty()) return;
  auto opened = open_node_network(config.switch_socket(), uplink_ports(config, *node.uplink), kSwitchPatience);
  if (!opened) spdlog::warn("uplinkDevice: {}; the node has no network until then", opened.error().message);
}

net::Result<void> Agent::Parts::open_objects() {
  const kube::Node self = self_of(config, blocks->all());
  if (config.store == config::Store::kEmbedded) {
    auto opened = ObjectManager::open(*store, service_ranges_of(config), self);
    if (!opened) return opened.error();
    own_objects = *std::move(opened);
    return {};
  }
  auto opened = cluster::ClusterObjects::open(*link, *store, service_ranges_of(config), self);
  if (!opened) return opened.error();
  cluster = *std::move(opened);
  link->start();
  // Who did not answer a moment ago is not waited for again.
  const auto patience = membership->has_agreed() ? kFirstState : std::chrono::milliseconds::zero();
  if (!link->wait_until_current(patience)) {
    spdlog::warn("etcd: {}; the cluster is as it was known the last time: {} keys", link->mirror().status().message,
                 link->mirror().status().keys);
  }
  cluster->start();
  return {};
}

net::Result<void> Agent::Parts::make_host(const std::vector<Attachment>& pods_there) {
  const std::vector<AddressBlock> all = blocks->all();
  HostPort host = host_port_of(config, blocks->first(), all);
  host.extra_pods = addresses_outside(pods_there, all);
  ClusterRoutes::Blocks others;
  if (membership) others = blocks_of(membership->ways().tunnels, pools);
  host.more_blocks.insert(host.more_blocks.end(), others.begin(), others.end());
  auto host_mac = ensure_host_port(host);
  if (!host_mac) return host_mac.error();
  set_host_forwarding(config.host_forwarding, host.blocks);
  const PortSet nat_ports = port_range(config.nat.port_first, config.nat.port_last);
  if (auto reserved = reserve_ports(*store, nat_ports); !reserved) {
    spdlog::warn("nat.portRange: {}", reserved.error().message);
  }
  the_switch = std::make_unique<SwitchClient>(config.switch_socket(), gateway(config, host.blocks),
                                              first_ports(config, node, host, *host_mac, pods_there));
  the_switch->set_nat(nat_of(config, node, host.blocks));
  if (membership) the_switch->set_tunnels(membership->underlay(), membership->ways().tunnels);
  pods = std::make_unique<PodManager>(*store, *the_switch, *blocks, host, node.masquerades(), config.vhost_directory());
  start_keepers(host);
  if (!config.bird.config_file.empty()) {
    bird = std::make_unique<BirdExport>(config.node_name, config.bird.config_file, config.bird.control_socket,
                                        prefixes_of(all));
  }
  if (membership) follow_cluster(host, std::move(others));
  return {};
}

void Agent::Parts::start_keepers(const HostPort& host) {
  policies = std::make_unique<policies::Keeper>(objects(), *the_switch);
  keeper = std::make_unique<services::Keeper>(objects(), *the_switch, ServiceRoutes(host), node_ports_of(config, host),
                                              services::Node{config.node_name, "", node.addresses});
  follower = std::make_unique<NodeFollower>(config, node, host.blocks, *the_switch, *keeper);
  auto held = link ? link->hold_back() : std::unique_lock<std::mutex>();
  policies->start();
  keeper->start();  // the zone is what the node's own object says
}

void Agent::Parts::follow_cluster(const HostPort& host, ClusterRoutes::Blocks others) {
  std::vector<net::Prefix> prefixes;
  for (const config::AddressPool& pool : pools) prefixes.push_back(pool.prefix);
  routes = std::make_unique<ClusterRoutes>(host, prefixes, prefixes_of(blocks->all()), std::move(others));
  blocks->set_on_change([this](const AddressBlock& block, bool is_there) {
    routes->set_own(block.block(), is_there);
    if (bird) bird->set(block.block(), is_there);
  });
  follower->set_on_addresses([this](const auto& addresses) { membership->set_addresses(addresses); });
  membership->start([this](const api::Underlay& underlay, const std::vector<api::Tunnel>& tunnels) {
    auto told = the_switch->update_tunnels(underlay, tunnels);
    routes->set_others(blocks_of(tunnels, pools));
    return told ? net::Result<void>() : told.error();
  });
}

net::Result<void> Agent::Parts::serve() {
  config::Config told = config;
  told.node_addresses = node.addresses;
  report = std::make_unique<NodeReport>(std::move(told), *store, *blocks, membership.get());
  service = std::make_unique<AgentService>(config.node_name, *store, *the_switch, *pods, objects(), *report,
                                           pod_dns_of(config));
  auto listening = api::UnixServer::listen(config.agent_socket(), *service);
  if (!listening) return listening.error();
  server = *std::move(listening);
  the_switch->start();
  if (!the_switch->wait_for(true, kFirstSync)) {
    spdlog::warn("{}; pods can be added when it is there", the_switch->status().message);
  }
  auto watching = LinkWatch::start([this](const auto& name) { pods->note_gone(name); }, [this] { follower->check(); });
  if (!watching) return watching.error();
  watch = *std::move(watching);
  return {};
}

Agent::Agent(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Agent::~Agent() { stop(); }

void Agent::stop() {
  parts_->watch.reset();
  if (parts_->server) parts_->server->stop(kStopGrace);
  if (parts_->membership) parts_->membership->stop();
  if (parts_->cluster) parts_->cluster->stop();
  if (parts_->link) parts_->link->stop();
  if (parts_->the_switch) parts_->the_switch->stop();
}

net::Result<std::unique_ptr<Agent>> Agent::start(const config::Config& config, const StopRequested& wait) {
  auto parts = std::make_unique<Parts>();
  if (auto made = ensure_node_link(config); !made) return made.error();
  auto node = find_node_network(config);
  if (!node) return node.error();
  parts->node = *std::move(node);
  auto mtu = pod_mtu_of(config, parts->node);
  if (!mtu) return mtu.error();
  parts->config = config;
  parts->config.mtu = *mtu;
  auto store = Store::open(config.state_dir);
  if (!store) return store.error();
  parts->store = *std::move(store);
  auto found = parts->find_blocks(wait);
  if (!found) return found.error();
  if (!*found) return std::unique_ptr<Agent>();
  auto kept = reconcile(*parts->store, parts->blocks->all());
  if (!kept) return kept.error();
  if (auto swept = remove_unknown_sockets(config.vhost_directory(), *kept); !swept) {
    spdlog::warn("{}", swept.error().message);  // it is root's alone to come to, and harms nobody
  }
  if (auto opened = parts->open_objects(); !opened) return opened.error();
  if (auto made = parts->make_host(*kept); !made) return made.error();
  if (auto served = parts->serve(); !served) return served.error();
  spdlog::info("ready: node {}, {} pods, socket {}", config.node_name, kept->size(), config.agent_socket());
  return std::unique_ptr<Agent>(new Agent(std::move(parts)));
}

net::Result<void> clean_up(const config::Config& config, bool with_pods) {
  auto store = Store::open(config.state_dir);
  if (!store) return store.error();
  if (auto removed = remove_service_routes(config.host_port); !removed) return removed;
  if (auto withdrawn = withdraw_from_bird(config); !withdrawn) return withdrawn;
  if (auto removed = remove_cluster_routes(config.host_port); !removed) return removed;
  if (auto removed = services::remove_node_port_tables(config.host_port); !removed) return removed;
  if (!with_pods) return remove_host_port(config.host_port);
  auto attachments = (*store)->list();
  if (!attachments) return attachments.error();
  for (const Attachment& attachment : *attachments) {
    if (auto removed = remove_pod_end(**store, attachment); !removed) return removed;
  }
  if (auto released = release_ports(**store); !released) return released;
  if (auto removed = remove_node_link(config); !removed) return removed;
  return remove_host_port(config.host_port);
}

}  // namespace millrace::control::agent
