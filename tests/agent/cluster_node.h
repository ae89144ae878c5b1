/// A node of a cluster without kernel and switch: its database, its blocks and its membership, over a real etcd.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "control/agent/begin_attachment.h"
#include "control/agent/cluster/membership.h"
#include "control/agent/interface_name.h"
#include "control/config/config.h"

namespace millrace::control::agent {

/// `keys`: more of the configuration file.
inline config::Config cluster_config(const std::string& name, const std::vector<std::string>& endpoints,
                                     const std::string& keys = "") {
  std::string text =
      fmt::format("nodeName: {}\nstore: etcd\nuplink: eth0\netcd: {{leaseSeconds: 5, endpoints: [", name);
  for (const std::string& endpoint : endpoints) text += fmt::format("\"{}\",", endpoint);
  text += "]}\n" + (keys.empty() ? "ipam: {ipv4: {pool: 10.9.0.0/25, blockLength: 29}, ipv6: {pool: none}}\n" : keys);
  auto config = config::parse(text, "test.yaml");
  EXPECT_TRUE(config.ok()) << config.error().message;
  return config ? *config : config::Config();
}

class ClusterNode {
 public:
  /// The parts up to what the disk has; `error` says what went wrong.
  ClusterNode(config::Config config, const std::string& state_dir, std::chrono::milliseconds timeout)
      : config_(std::move(config)) {
    auto opened = Store::open(state_dir);
    if (!opened) {
      error = opened.error().message;
      return;
    }
    store = *std::move(opened);
    etcd::Options options;
    options.endpoints = config_.etcd.endpoints;
    options.timeout = timeout;
    const etcd::MirrorTimes times{timeout, timeout, std::chrono::milliseconds(20), std::chrono::milliseconds(200)};
    auto made = cluster::ClusterLink::open({options, config_.etcd.prefix, state_dir + "/cluster.db", times});
    if (!made) {
      error = made.error().message;
      return;
    }
    link = *std::move(made);
    const auto address = net::IpAddress::parse(fmt::format("192.0.2.{}", 1 + config_.node_name.back() - '0'));
    std::vector<config::AddressPool> pools;
    for (const auto& pool : {config_.ipam.ipv4, config_.ipam.ipv6}) {
      if (pool) pools.push_back(*pool);
    }
    auto member = cluster::Membership::open(config_, *link, *store, blocks, {*address}, std::move(pools));
    if (!member) {
      error = member.error().message;
      return;
    }
    membership = *std::move(member);
  }
  ~ClusterNode() {
    if (membership) membership->stop();
    if (link) link->stop();
  }

  void start() {
    link->start();
    membership->start([this](const api::Underlay& underlay, const std::vector<api::Tunnel>& tunnels) {
      const std::lock_guard guard(mutex_);
      told_underlay_ = underlay;
      told_ = tunnels;
      return net::Result<void>();
    });
  }
  /// What the switch was told last, as text: "node-1 192.0.2.2: 10.9.0.8/29 192.0.2.2/32".
  std::vector<std::string> tunnels() const;

  net::Result<Attachment> add(const std::string& container) {
    Attachment attachment;
    attachment.key = {"net", container, "eth0"};
    attachment.host_interface = host_interface_name(config_.node_name, attachment.key);
    attachment.mtu = 1450;
    return begin_attachment(*store, blocks, attachment, {.blocks = nullptr, .wanted = {}, .delegated = {}});
  }
  net::Result<void> remove(std::int64_t id) {
    return blocks.use([&](const auto& list) { return store->finish_delete(id, list); });
  }
  std::vector<std::string> block_names() const {
    std::vector<std::string> names;
    for (const AddressBlock& block : blocks.all()) names.push_back(block.block().to_string());
    return names;
  }

  std::string error;
  NodeBlocks blocks;
  std::unique_ptr<Store> store;
  std::unique_ptr<cluster::ClusterLink> link;
  std::unique_ptr<cluster::Membership> membership;

 private:
  config::Config config_;
  mutable std::mutex mutex_;
  api::Underlay told_underlay_;
  std::vector<api::Tunnel> told_;
};

inline std::vector<std::string> ClusterNode::tunnels() const {
  const auto text_of = [](const std::string& bytes) {
    const auto address =
        net::IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    return address ? address->to_string() : "?";
  };
  const std::lock_guard guard(mutex_);
  std::vector<std::string> texts;
  for (const api::Tunnel& tunnel : told_) {
    texts.push_back(fmt::format("{} {}:", tunnel.name(), text_of(tunnel.remote())));
    for (const api::RoutePrefix& prefix : tunnel.prefixes()) {
      texts.back() += fmt::format(" {}/{}", text_of(prefix.address()), prefix.length());
    }
  }
  return texts;
}

}  // namespace millrace::control::agent
