#include "control/agent/agent.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/agent/agent_service.h"
#include "control/agent/cluster/cluster_link.h"
#include "control/agent/cluster/cluster_objects.h"
#include "control/agent/host_forwarding.h"
#include "control/agent/host_port.h"
#include "control/agent/link_watch.h"
#include "control/agent/node_follower.h"
#include "control/agent/object_manager.h"
#include "control/agent/pod_manager.h"
#include "control/agent/policies/keeper.h"
#include "control/agent/port_specs.h"
#include "control/agent/reconcile.h"
#include "control/agent/reserved_ports.h"
#include "control/agent/service_routes.h"
#include "control/agent/services/keeper.h"
#include "control/agent/store.h"
#include "control/agent/switch_client.h"
#include "control/agent/sysctl.h"
#include "control/agent/uplink.h"
#include "control/api/unix_socket.h"
#include "control/netlink/netlink.h"

namespace millrace::control::agent {
namespace {

constexpr std::chrono::milliseconds kStopGrace{5000};
/// A switch that is there takes the state within this; one that is not is no reason to wait longer.
constexpr std::chrono::milliseconds kFirstSync{500};
/// How long the first state of the switch waits for that of the cluster; then it is what was known the last time.
constexpr std::chrono::milliseconds kFirstState{10'000};

net::Result<std::vector<AddressBlock>> blocks_of(const config::Config& config) {
  std::vector<AddressBlock> blocks;
  for (const auto& pool : {config.ipam.ipv4, config.ipam.ipv6}) {
    if (!pool) continue;
    if (pool->prefix.address.family == 6 && !has_ipv6()) {
      spdlog::warn("ipam.ipv6: this kernel has IPv6 switched off: pods get IPv4 addresses only");
      continue;
    }
    auto block = AddressBlock::make(pool->prefix, pool->block_bits, config.ipam.block_index);
    if (!block) return block.error();
    blocks.push_back(*block);
  }
  return blocks;
}

HostPort host_port_of(const config::Config& config, std::vector<AddressBlock> blocks) {
  return {.name = config.host_port,
          .mtu = config.mtu,
          .gateway_ipv4 = config.gateway.ipv4,
          .gateway_ipv6 = config.gateway.ipv6,
          .blocks = std::move(blocks),
          .more_blocks = {},
          .extra_pods = {},
          .services = {}};
}

std::vector<net::Prefix> service_ranges(const config::Config& config, const std::vector<AddressBlock>& blocks) {
  std::vector<net::Prefix> ranges;
  for (const AddressBlock& block : blocks) {
    const auto& range = block.family() == 4 ? config.services.ipv4 : config.services.ipv6;
    if (range) ranges.push_back(*range);
  }
  return ranges;
}

ServiceRanges ranges_of(const config::Config& config) {
  return {.ipv4 = config.services.ipv4,
          .ipv6 = config.services.ipv6,
          .first_node_port = config.services.node_port_first,
          .last_node_port = config.services.node_port_last};
}

services::NodePortTable node_ports_of(const config::Config& config, const HostPort& host) {
  return {host.name, config.services.node_ports_from_node ? host.services : std::vector<net::Prefix>()};
}

kube::Node self_of(const config::Config& config, const std::vector<AddressBlock>& blocks) {
  kube::Node self;
  self.meta.name = config.node_name;
  for (const AddressBlock& block : blocks) self.pod_cidrs.push_back(block.block());
  return self;
}

cluster::ClusterLink::Options link_of(const config::Config& config) {
  const auto& etcd = config.etcd;
  return {.etcd = {.endpoints = etcd.endpoints,
                   .ca_file = etcd.ca_file,
                   .cert_file = etcd.cert_file,
                   .key_file = etcd.key_file,
                   .user = etcd.user,
                   .password_file = etcd.password_file},
          .prefix = etcd.prefix,
          .cache_file = config.state_dir + "/cluster.db",
          .times = {}};
}

}  // namespace

/// In the order of their making; ended in the opposite one.
struct Agent::Parts {
  std::unique_ptr<Store> store;
  std::unique_ptr<NodeBlocks> blocks;
  std::unique_ptr<SwitchClient> the_switch;
  std::unique_ptr<PodManager> pods;
  std::unique_ptr<cluster::ClusterLink> link;        // of one node alone: nullptr
  std::unique_ptr<cluster::ClusterObjects> cluster;  // so is this
  std::unique_ptr<ObjectManager> own_objects;        // in the cluster: nullptr
  std::unique_ptr<policies::Keeper> policies;
  std::unique_ptr<services::Keeper> keeper;
  std::unique_ptr<NodeFollower> follower;
  std::unique_ptr<AgentService> service;
  std::unique_ptr<api::UnixServer> server;
  std::unique_ptr<LinkWatch> watch;

  Parts() = default;
  /// The link tells the parts that are made after it.
  ~Parts() {
    if (link) link->stop();
  }
  ObjectManager& objects() { return cluster ? cluster->objects() : *own_objects; }
  /// `own`: the blocks of this node.
  net::Result<void> open_objects(const config::Config& config, const std::vector<AddressBlock>& own);
  /// What there is goes to the switch with its first state, and what changes follows.
  void start_keepers();
};

net::Result<void> Agent::Parts::open_objects(const config::Config& config, const std::vector<AddressBlock>& own) {
  if (config.store == config::Store::kEmbedded) {
    auto opened = ObjectManager::open(*store, ranges_of(config), self_of(config, own));
    if (!opened) return opened.error();
    own_objects = *std::move(opened);
    return {};
  }
  auto made = cluster::ClusterLink::open(link_of(config));
  if (!made) return made.error();
  link = *std::move(made);
  auto opened = cluster::ClusterObjects::open(*link, *store, ranges_of(config), self_of(config, own));
  if (!opened) return opened.error();
  cluster = *std::move(opened);
  link->start();
  if (!link->wait_until_current(kFirstState)) {
    spdlog::warn("etcd: {}; the cluster is as it was known the last time: {} keys", link->mirror().status().message,
                 link->mirror().status().keys);
  }
  cluster->start();
  return {};
}

void Agent::Parts::start_keepers() {
  auto held = link ? link->hold_back() : std::unique_lock<std::mutex>();
  policies->start();
  keeper->start();
}

Agent::Agent(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Agent::~Agent() { stop(); }

void Agent::stop() {
  parts_->watch.reset();
  if (parts_->server) parts_->server->stop(kStopGrace);
  if (parts_->cluster) parts_->cluster->stop();
  if (parts_->link) parts_->link->stop();
  if (parts_->the_switch) parts_->the_switch->stop();
}

net::Result<std::unique_ptr<Agent>> Agent::start(const config::Config& given) {
  auto node = find_node_network(given);
  if (!node) return node.error();
  auto mtu = pod_mtu_of(given, *node);
  if (!mtu) return mtu.error();
  config::Config config = given;
  config.mtu = *mtu;
  if (config.store == config::Store::kEtcd) {
    return net::failed_precondition("store: etcd: this version keeps its state on one machine; allowed: embedded");
  }
  auto parts = std::make_unique<Parts>();
  auto blocks = blocks_of(config);
  if (!blocks) return blocks.error();
  parts->blocks = std::make_unique<NodeBlocks>(*blocks);
  auto store = Store::open(config.state_dir);
  if (!store) return store.error();
  parts->store = *std::move(store);
  auto kept = reconcile(*parts->store, *blocks);
  if (!kept) return kept.error();

  if (auto opened = parts->open_objects(config, *blocks); !opened) return opened.error();

  HostPort host = host_port_of(config, *blocks);
  host.extra_pods = addresses_outside(*kept, *blocks);
  host.services = service_ranges(config, *blocks);
  auto host_mac = ensure_host_port(host);
  if (!host_mac) return host_mac.error();
  set_host_forwarding(config.host_forwarding, *blocks);
  const PortSet nat_ports = port_range(config.nat.port_first, config.nat.port_last);
  if (auto reserved = reserve_ports(*parts->store, nat_ports); !reserved) {
    spdlog::warn("nat.portRange: {}", reserved.error().message);
  }

  std::vector<api::PortSpec> ports = {host_port(config, *blocks, *host_mac)};
  for (const Attachment& attachment : *kept) { ports.push_back(pod_port(attachment, node->masquerades())); }
  if (node->uplink) {
    // The kernel would tell itself, not the pod, that a masqueraded packet is too large for the uplink: the switch
    // does.
    ports.front().set_mtu(std::min(config.mtu, node->uplink->mtu));
    ports.push_back(uplink_port(config, *node->uplink));
  }
  parts->the_switch =
      std::make_unique<SwitchClient>(config.switch_socket(), gateway(config, *blocks), std::move(ports));
  parts->the_switch->set_nat(nat_of(config, *node, *blocks));
  parts->pods =
      std::make_unique<PodManager>(*parts->store, *parts->the_switch, *parts->blocks, host, node->masquerades());
  parts->policies = std::make_unique<policies::Keeper>(parts->objects(), *parts->the_switch);
  parts->keeper = std::make_unique<services::Keeper>(parts->objects(), *parts->the_switch, ServiceRoutes(host),
                                                     node_ports_of(config, host),
                                                     services::Node{config.node_name, "", node->addresses});
  parts->start_keepers();  // the zone is what the node's own object says
  parts->follower = std::make_unique<NodeFollower>(config, *node, *blocks, *parts->the_switch, *parts->keeper);
  parts->service = std::make_unique<AgentService>(config.node_name, *parts->store, *parts->the_switch, *parts->pods,
                                                  parts->objects(), *parts->blocks, pod_dns_of(config));
  auto server = api::UnixServer::listen(config.agent_socket(), *parts->service);
  if (!server) return server.error();
  parts->server = *std::move(server);
  parts->the_switch->start();
  if (!parts->the_switch->wait_for(true, kFirstSync)) {
    spdlog::warn("{}; pods can be added when it is there", parts->the_switch->status().message);
  }
  auto watch = LinkWatch::start([pods = parts->pods.get()](const auto& name) { pods->note_gone(name); },
                                [follower = parts->follower.get()] { follower->check(); });
  if (!watch) return watch.error();
  parts->watch = *std::move(watch);
  spdlog::info("ready: node {}, {} pods, socket {}", config.node_name, kept->size(), config.agent_socket());
  return std::unique_ptr<Agent>(new Agent(std::move(parts)));
}

net::Result<void> clean_up(const config::Config& config, bool with_pods) {
  auto store = Store::open(config.state_dir);
  if (!store) return store.error();
  if (auto removed = remove_service_routes(config.host_port); !removed) return removed;
  if (auto removed = services::remove_node_port_tables(config.host_port); !removed) return removed;
  if (!with_pods) return remove_host_port(config.host_port);
  auto attachments = (*store)->list();
  if (!attachments) return attachments.error();
  for (const Attachment& attachment : *attachments) {
    if (auto removed = netlink::remove_link_if_there(attachment.host_interface); !removed) return removed;
  }
  if (auto released = release_ports(**store); !released) return released;
  return remove_host_port(config.host_port);
}

}  // namespace millrace::control::agent
