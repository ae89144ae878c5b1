// What the keys of nodes and blocks mean for the switch: rows of keys in, tunnels and warnings out.
#include "control/agent/cluster/tunnels.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace millrace::control::agent::cluster {
namespace {

std::string text_of(const std::string& bytes) {
  const auto address = net::IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  return address ? address->to_string() : "?";
}

/// "node-2 192.0.2.2: 10.244.2.0/24 192.0.2.2/32"
std::vector<std::string> texts_of(const Ways& ways) {
  std::vector<std::string> texts;
  for (const api::Tunnel& tunnel : ways.tunnels) {
    texts.push_back(fmt::format("{} {}:", tunnel.name(), text_of(tunnel.remote())));
    for (const api::RoutePrefix& prefix : tunnel.prefixes()) {
      texts.back() += fmt::format(" {}/{}", text_of(prefix.address()), prefix.length());
    }
  }
  return texts;
}

NodeRecord node(const std::string& name, const std::vector<std::string>& addresses) {
  NodeRecord record{.name = name,
                    .addresses = {},
                    .vtep_mac = *net::Mac::parse("02:00:00:00:00:09"),
                    .instance = "i",
                    .epoch = 1,
                    .version = "1"};
  for (const std::string& address : addresses) record.addresses.push_back(*net::IpAddress::parse(address));
  return record;
}

class ClusterTunnels : public testing::Test {
 protected:
  ClusterTunnels() {
    auto parsed = config::parse("nodeName: node-1\n", "test.yaml");
    if (parsed) config_ = *parsed;
  }
  void put(const std::string& key, const std::string& value) {
    etcd::KeyValue item;
    item.key = "/millrace/v1/" + key;
    item.value = value;
    item.create_revision = ++revision_;
    (key.starts_with("nodes/") ? nodes_ : blocks_).push_back(item);
  }
  void put(const NodeRecord& record) { put("nodes/" + record.name, print(record)); }
  void hold(const std::string& block, const std::string& node, BlockState state = BlockState::kHeld) {
    put("blocks/" + block, print(BlockRecord{node, "i", state}));
  }
  Ways ways() const {
    return ways_to_others(config_, Keys("/millrace/v1/"), node("node-1", self_), own_, nodes_, blocks_);
  }

  config::Config config_;
  std::vector<std::string> self_ = {"192.0.2.1", "2001:db8::1"};
  std::vector<net::Prefix> own_ = {*net::Prefix::parse("10.244.1.0/24")};
  std::vector<etcd::KeyValue> nodes_, blocks_;
  std::int64_t revision_ = 0;
};

using Texts = std::vector<std::string>;

TEST_F(ClusterTunnels, lead_to_the_blocks_and_addresses_of_the_nodes_that_are_there) {
  put(node("node-3", {"2001:db8::3"}));
  put(node("node-1", {"192.0.2.1"}));
  put(node("node-2", {"192.0.2.2", "2001:db8::2"}));
  hold("4/10.244.1.0-24", "node-1");
  hold("4/10.244.2.0-24", "node-2");
  hold("6/fd00:10:244::200-120", "node-2");
  hold("4/10.244.3.0-24", "node-3", BlockState::kEmpty);
  hold("4/10.244.4.0-24", "node-4");
  EXPECT_EQ(texts_of(ways()),
            (Texts{"node-2 192.0.2.2: 10.244.2.0/24 fd00:10:244::200/120 192.0.2.2/32 2001:db8::2/128",
                   "node-3 2001:db8::3: 2001:db8::3/128"}));
  EXPECT_EQ(ways().warnings, Texts{});
}

TEST_F(ClusterTunnels, of_two_that_say_one_thing_the_older_has_it) {
  put(node("node-8", {"192.0.2.8"}));
  put(node("node-2", {"192.0.2.2", "192.0.2.8"}));
  put(node("node-3", {"192.0.2.2"}));
  put(node("node-4", {"192.0.2.1"}));
  hold("4/10.244.1.0-24", "node-2");
  EXPECT_EQ(texts_of(ways()), (Texts{"node-2 192.0.2.2: 192.0.2.2/32", "node-8 192.0.2.8: 192.0.2.8/32"}));
  EXPECT_EQ(ways().warnings,
            (Texts{"node node-2: 10.244.1.0/24 is another node's", "node node-2: 192.0.2.8/32 is another node's",
                   "node node-3: its address 192.0.2.2 is another node's",
                   "node node-4: its address 192.0.2.1 is another node's"}));
}

TEST_F(ClusterTunnels, without_a_family_in_common_there_is_no_way) {
  self_ = {"192.0.2.1"};
  put(node("node-2", {"2001:db8::2"}));
  EXPECT_EQ(texts_of(ways()), Texts{});
  EXPECT_EQ(ways().warnings, Texts{"node node-2: has no address of a family that this node has"});
}

TEST_F(ClusterTunnels, keys_made_by_hand_do_not_reach_the_switch) {
  put(node("node-2", {"192.0.2.2"}));
  const std::string good = print(node("node-3", {"192.0.2.3"}));
  for (const auto& [was, is] :
       {std::pair{"192.0.2.3", "224.0.0.1"}, std::pair{"192.0.2.3", "127.0.0.1"}, std::pair{"192.0.2.3", "fe80::1"},
        std::pair{"192.0.2.3", "nobody"}, std::pair{"02:00:00:00:00:09", "01:00:00:00:00:09"},
        std::pair{"node-3", "node-4"}, std::pair{"{", "["}}) {
    std::string bad = good;
    bad.replace(bad.find(was), std::string(was).size(), is);
    put("nodes/node-3", bad);
  }
  hold("4/0.0.0.0-0", "node-2");
  hold("4/10.244.2.0-25", "node-2");
  hold("4/192.0.2.0-24", "node-2");
  put("blocks/4/10.244.2.0-24", "node-2");
  EXPECT_EQ(texts_of(ways()), Texts{"node-2 192.0.2.2: 192.0.2.2/32"});
  EXPECT_EQ(ways().warnings, (Texts{"node node-2: 0.0.0.0/0 is no block of the pool",
                                    "node node-2: 10.244.2.0/25 is no block of the pool",
                                    "node node-2: 192.0.2.0/24 is no block of the pool"}));
}

TEST_F(ClusterTunnels, what_is_beyond_the_limits_is_left_out_and_told) {
  auto parsed = config::parse("ipam: {ipv4: {pool: 10.244.0.0/16, blockLength: 28}}\n", "test.yaml");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  config_ = *parsed;
  for (int i = 0; i < 1026; ++i) {
    put(node(fmt::format("other-{:04}", i), {fmt::format("198.18.{}.{}", i / 250, 1 + i % 250)}));
    hold(fmt::format("4/10.244.{}.{}-28", i / 16, i % 16 * 16), "other-0000");
  }
  const Ways found = ways();
  ASSERT_EQ(found.tunnels.size(), kTunnelLimit);
  EXPECT_EQ(found.tunnels.front().prefixes_size(), static_cast<int>(kTunnelPrefixLimit));
  EXPECT_EQ(found.warnings,
            (Texts{"node other-0000: has more than 1024 prefixes", "node other-1024: there are more than 1024 others",
                   "node other-1025: there are more than 1024 others"}));
}

}  // namespace
}  // namespace millrace::control::agent::cluster
