#include "control/config/checks.h"

#include <algorithm>

#include <fmt/format.h>

#include "control/config/mtu.h"

namespace millrace::control::config {

namespace {

/// A port always holds 64 packets ready to be filled, and all ports together at most half of the pool
/// (datapath/io/fill_budget.h): with fewer packets the last ports could not receive.
constexpr std::uint32_t kPacketsPerPort = 128;

struct Family {
  const std::optional<AddressPool>& pool;
  net::IpAddress gateway;
  unsigned number;
  unsigned min_block_bits, max_block_bits;
  std::string_view pool_key, block_key, gateway_key;
};

void check_family(const Family& family, std::uint32_t block_index, std::vector<Violation>& out) {
  if (!family.pool) return;
  const AddressPool& pool = *family.pool;
  if (pool.prefix.contains(family.gateway)) {
    out.push_back({{family.gateway_key, family.pool_key},
                   fmt::format("the gateway {} is in the pool {}", family.gateway.to_string(), pool.prefix.to_string()),
                   fmt::format("an address outside of {}", family.pool_key)});
  }
  if (pool.block_bits < pool.prefix.length_bits) {
    const unsigned least = std::max<unsigned>(pool.prefix.length_bits, family.min_block_bits);
    out.push_back({{family.block_key, family.pool_key},
                   fmt::format("a block of /{} is larger than the pool {}", pool.block_bits, pool.prefix.to_string()),
                   fmt::format("{} {}..{}", family.block_key, least, family.max_block_bits)});
    return;
  }
  const unsigned index_bits = pool.block_bits - pool.prefix.length_bits;
  const std::uint64_t blocks = index_bits >= 32 ? std::uint64_t{1} << 32 : std::uint64_t{1} << index_bits;
  if (block_index >= blocks) {
    out.push_back({{"ipam.block", family.block_key, family.pool_key},
                   fmt::format("{} is not in the pool {}, which has {} blocks of /{}", block_index,
                               pool.prefix.to_string(), blocks, pool.block_bits),
                   fmt::format("0..{}", blocks - 1)});
  }
}

bool overlap(const net::Prefix& a, const net::Prefix& b) { return a.contains(b.address) || b.contains(a.address); }

void check_service_range(const std::optional<net::Prefix>& range, std::string_view range_key, const Family& family,
                         std::vector<Violation>& out) {
  if (!range) return;
  if (family.pool && overlap(*range, family.pool->prefix)) {
    out.push_back({{range_key, family.pool_key},
                   fmt::format("{} and the pool {} overlap", range->to_string(), family.pool->prefix.to_string()),
                   fmt::format("a prefix apart from {}", family.pool_key)});
  }
  if (range->contains(family.gateway)) {
    out.push_back({{range_key, family.gateway_key},
                   fmt::format("the gateway {} is in {}", family.gateway.to_string(), range->to_string()),
                   fmt::format("a prefix without {}", family.gateway_key)});
  }
}

void check_ports(const Config::Nat& nat, const Config::Services& services, std::vector<Violation>& out) {
  if (nat.port_first > services.node_port_last || nat.port_last < services.node_port_first) return;
  out.push_back({{"nat.portRange", "services.nodePortRange"},
                 fmt::format("{}-{} has node ports in it", nat.port_first, nat.port_last),
                 fmt::format("a range apart from {}-{}", services.node_port_first, services.node_port_last)});
}

void check_etcd(const Config& config, std::vector<Violation>& out) {
  const Config::Etcd& etcd = config.etcd;
  if (etcd.cert_file.empty() != etcd.key_file.empty()) {
    out.push_back({{"etcd.certFile", "etcd.keyFile"}, "one is there without the other", "both, or none of them"});
  }
  if (etcd.user.empty() != etcd.password_file.empty()) {
    out.push_back({{"etcd.user", "etcd.passwordFile"}, "one is there without the other", "both, or none of them"});
  }
  const bool has_files = !etcd.ca_file.empty() || !etcd.cert_file.empty();
  if (has_files && !etcd.endpoints.empty() && etcd.endpoints.front().starts_with("http://")) {
    out.push_back({{"etcd.endpoints", "etcd.caFile", "etcd.certFile"},
                   "http has no certificates",
                   "https://HOST:PORT with etcd.caFile or etcd.certFile"});
  }
}

void check_uplink(const Config& config, std::vector<Violation>& out) {
  const std::string switch_end = config.host_port + "s";
  if (config.uplink == config.host_port || config.uplink == switch_end) {
    out.push_back({{"uplink", "hostPort"},
                   fmt::format("{} belongs to the host port", config.uplink),
                   "another interface than the host port's two"});
  }
  if (config.uplink_device.empty()) return;
  constexpr std::size_t kNodeLinkLimit = 14;  // the switch's end has a letter more
  if (config.uplink.empty() || config.uplink == "auto" || config.uplink.size() > kNodeLinkLimit) {
    out.push_back({{"uplinkDevice", "uplink"},
                   fmt::format("a device, and uplink {} is no name for the node's end of its link",
                               config.uplink.empty() ? "none" : config.uplink),
                   fmt::format("uplink with a name of an interface that is made, 1..{} characters", kNodeLinkLimit)});
  }
  if (config.uplink + "s" == config.host_port) {
    out.push_back({{"uplink", "hostPort"},
                   fmt::format("the switch's end of the link of {} is {}", config.uplink, config.host_port),
                   "another name than the host port's without its s"});
  }
}

void check_bird(const Config::Bird& bird, std::vector<Violation>& out) {
  constexpr std::size_t kSocketPathLimitBytes = 107;  // unix(7), with the end mark 108
  if (bird.control_socket.size() > kSocketPathLimitBytes) {
    out.push_back({{"bird.controlSocket"},
                   fmt::format("is {} bytes long", bird.control_socket.size()),
                   fmt::format("at most {} bytes", kSocketPathLimitBytes)});
  }
  if (!bird.control_socket.empty() && bird.config_file.empty()) {
    out.push_back({{"bird.controlSocket", "bird.configFile"},
                   "there is nothing that BIRD could read again",
                   "bird.configFile, too"});
  }
}

void check_cluster(const Config& config, std::vector<Violation>& out) {
  if (config.store == Store::kEmbedded) return;
  if (config.etcd.endpoints.empty()) {
    out.push_back({{"store", "etcd.endpoints"}, "etcd without an endpoint", "etcd.endpoints with at least one URL"});
  }
  if (config.uplink.empty()) {
    out.push_back({{"store", "uplink"}, "etcd without an uplink", "uplink auto, or the name of an interface"});
  }
  if (config.ipam.block_index != 0) {
    out.push_back({{"ipam.block", "store"}, "with store etcd blocks are claimed, not configured", "no ipam.block"});
  }
  const auto within = [&](std::uint16_t first, std::uint16_t last) {
    return config.vxlan.port >= first && config.vxlan.port <= last;
  };
  if (within(config.nat.port_first, config.nat.port_last) ||
      within(config.services.node_port_first, config.services.node_port_last)) {
    out.push_back({{"vxlan.port", "nat.portRange", "services.nodePortRange"},
                   fmt::format("{} is in nat.portRange or services.nodePortRange", config.vxlan.port),
                   "a port apart from both"});
  }
}

}  // namespace

std::vector<Violation> check_rules(const Config& config) {
  std::vector<Violation> out;
  const auto& workers = config.workers;
  if (workers.count != 0 && !workers.cpus.empty() && workers.count != workers.cpus.size()) {
    out.push_back({{"workers.count", "workers.cpus"},
                   fmt::format("{} workers, but workers.cpus names {}", workers.count, workers.cpus.size()),
                   fmt::format("{}, or 0", workers.cpus.size())});
  }
  if (config.memory.packets / kPacketsPerPort < config.port_limit) {
    out.push_back({{"memory.packets", "portLimit"},
                   fmt::format("{} packets are too few for {} ports", config.memory.packets, config.port_limit),
                   fmt::format("at least {} packets a port: memory.packets {}, or portLimit {}", kPacketsPerPort,
                               config.port_limit * kPacketsPerPort, config.memory.packets / kPacketsPerPort)});
  }
  if (config.ipam.ipv6 && config.mtu != 0 && config.mtu < kIpv6MinimumMtuBytes) {
    out.push_back({{"mtu", "ipam.ipv6.pool"},
                   fmt::format("{} is too small for IPv6", config.mtu),
                   fmt::format("at least {} with an IPv6 pool, or ipam.ipv6.pool none", kIpv6MinimumMtuBytes)});
  }
  if (config.state_dir == config.runtime_dir) {
    out.push_back({{"stateDir", "runtimeDir"},
                   fmt::format("{} is also the runtimeDir", config.state_dir),
                   "another directory than runtimeDir"});
  }
  check_uplink(config, out);
  const Family ipv4{
      config.ipam.ipv4, net::IpAddress::from(config.gateway.ipv4), 4, 16, 30, "ipam.ipv4.pool", "ipam.ipv4.blockLength",
      "gateway.ipv4"};
  const Family ipv6{config.ipam.ipv6,
                    net::IpAddress::from(config.gateway.ipv6),
                    6,
                    64,
                    126,
                    "ipam.ipv6.pool",
                    "ipam.ipv6.blockLength",
                    "gateway.ipv6"};
  check_family(ipv4, config.ipam.block_index, out);
  check_family(ipv6, config.ipam.block_index, out);
  check_service_range(config.services.ipv4, "services.ipv4", ipv4, out);
  check_service_range(config.services.ipv6, "services.ipv6", ipv6, out);
  check_ports(config.nat, config.services, out);
  check_etcd(config, out);
  check_cluster(config, out);
  check_bird(config.bird, out);
  return out;
}

}  // namespace millrace::control::config
