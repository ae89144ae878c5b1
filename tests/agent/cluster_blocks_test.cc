// Blocks of addresses and nodes of a cluster, over Debian's etcd.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <thread>

#include "tests/agent/cluster_node.h"
#include "tests/etcd/server.h"

namespace millrace::control::agent {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTimeout{1500};
/// A /25 of /29: so many blocks, each with so many addresses for pods (8 less network, host, broadcast).
constexpr int kBlocks = 16, kAddresses = 5;

/// Waits for what another thread brings about: its own events are not the test's to see.
bool comes_true(const std::function<bool()>& what) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!what()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return true;
}

class ClusterBlocks : public testing::Test {
 protected:
  void SetUp() override { server_ = etcd::start_server(); }

  std::unique_ptr<ClusterNode> make(const std::string& name, const std::string& keys = "") {
    auto node =
        std::make_unique<ClusterNode>(cluster_config(name, {server_->url()}, keys), directory_.file(name), kTimeout);
    EXPECT_EQ(node->error, "");
    return node;
  }
  /// Joined and started.
  std::unique_ptr<ClusterNode> up(const std::string& name, const std::string& keys = "") {
    auto node = make(name, keys);
    const auto joined = node->membership->join();
    EXPECT_TRUE(joined.ok()) << joined.error().message;
    node->start();
    return node;
  }
  static int fill(ClusterNode& node, const std::string& prefix, int wanted) {
    int added = 0;
    while (added < wanted && node.add(fmt::format("{}{}", prefix, added))) ++added;
    return added;
  }
  std::string value(const std::string& key) { return server_->ctl({"get", key, "--print-value-only"}); }

  etcd::Directory directory_;
  std::unique_ptr<etcd::Server> server_;
};

TEST_F(ClusterBlocks, each_node_has_its_own_and_keeps_them_over_restarts_without_etcd) {
  auto one = up("node-0"), two = up("node-1");
  EXPECT_NE(one->block_names(), two->block_names());
  ASSERT_EQ(fill(*one, "a", kAddresses + 1), kAddresses + 1) << "a second block is claimed when the first is full";
  const auto blocks = one->block_names();
  EXPECT_EQ(blocks.size(), 2u);
  one.reset();
  server_->kill();
  one = make("node-0");
  EXPECT_TRUE(one->membership->join().ok()) << "it has its blocks on its disk";
  EXPECT_EQ(one->block_names(), blocks);
  EXPECT_EQ(fill(*one, "b", kAddresses), kAddresses - 1) << "as many as are left";
  const auto full = one->add("one-more");
  ASSERT_FALSE(full.ok());
  EXPECT_NE(full.error().message.find("another block: "), std::string::npos) << full.error().message;
}

TEST_F(ClusterBlocks, a_first_start_without_etcd_has_no_block_and_says_so) {
  server_->kill();
  auto node = make("node-0");
  const auto joined = node->membership->join();
  ASSERT_FALSE(joined.ok());
  EXPECT_NE(joined.error().code, net::ErrorCode::kFailedPrecondition) << "it may be tried again";
  server_->start();
  server_->wait_ready();
  EXPECT_TRUE(node->membership->join().ok());
  EXPECT_EQ(node->block_names().size(), 1u);
}

TEST_F(ClusterBlocks, all_of_the_pool_is_used_and_what_is_idle_goes_to_who_needs_it) {
  auto one = up("node-0"), two = up("node-1");
  const int most = (kBlocks - 1) * kAddresses;
  std::vector<std::int64_t> ids;
  for (int i = 0; i < most; ++i) {
    auto added = one->add(fmt::format("a{}", i));
    ASSERT_TRUE(added.ok()) << i << ": " << added.error().message;
    ids.push_back(added->id);
  }
  EXPECT_EQ(one->block_names().size(), static_cast<std::size_t>(kBlocks - 1));
  EXPECT_EQ(fill(*two, "b", kAddresses), kAddresses);
  EXPECT_EQ(two->add("too-many").error().code, net::ErrorCode::kResourceExhausted) << "nobody has an idle block";
  for (const std::int64_t id : ids) ASSERT_TRUE(one->remove(id).ok());
  EXPECT_EQ(fill(*two, "c", most), most - kAddresses) << "all but the first block of the other";
  EXPECT_EQ(one->block_names().size(), 1u);
}

TEST_F(ClusterBlocks, a_claim_whose_answer_was_lost_is_found_again) {
  auto node = make("node-0");
  const std::string record =
      print(cluster::BlockRecord{"node-0", node->membership->record().instance, cluster::BlockState::kHeld});
  server_->ctl({"put", "/millrace/v1/blocks/4/10.9.0.64-29", record});
  ASSERT_TRUE(node->membership->join().ok());
  EXPECT_EQ(node->block_names(), std::vector<std::string>{"10.9.0.64/29"});
}

TEST_F(ClusterBlocks, a_crash_while_a_block_is_given_back_ends_with_it_empty) {
  const net::Prefix block = *net::Prefix::parse("10.9.0.64/29"), pool = *net::Prefix::parse("10.9.0.0/25");
  auto node = up("node-0");
  const std::string instance = node->membership->record().instance;
  node.reset();
  server_->ctl({"put", "/millrace/v1/blocks/4/10.9.0.64-29",
                print(cluster::BlockRecord{"node-0", instance, cluster::BlockState::kHeld})});
  ASSERT_TRUE((*Store::open(directory_.file("node-0")))->put_claimed_block({block, pool, ClaimState::kReleasing}).ok());
  node = up("node-0");
  EXPECT_EQ(node->block_names().size(), 1u) << "not used again";
  EXPECT_NE(value("/millrace/v1/blocks/4/10.9.0.64-29").find("\"empty\""), std::string::npos);
  EXPECT_EQ(node->store->claimed_blocks()->size(), 1u);
}

TEST_F(ClusterBlocks, a_block_that_became_anothers_gives_no_more_addresses) {
  auto node = up("node-0");
  ASSERT_TRUE(node->add("a").ok());
  const std::string lost = node->block_names().front();
  const std::string key = "/millrace/v1/blocks/4/" + lost.substr(0, lost.find('/')) + "-29";
  server_->ctl({"put", key, print(cluster::BlockRecord{"node-9", "other", cluster::BlockState::kHeld})});
  EXPECT_TRUE(comes_true([&] { return node->block_names() != std::vector{lost} && !node->block_names().empty(); }))
      << "another block is claimed in its place";
  auto added = node->add("b");
  ASSERT_TRUE(added.ok());
  EXPECT_FALSE(net::Prefix::parse(lost)->contains(added->addresses.front()));
}

TEST_F(ClusterBlocks, another_pool_or_another_cut_of_it_is_refused_with_key_and_both_values) {
  auto first = up("node-0");
  struct Row {
    const char* keys;
    const char* error;
  };
  const Row rows[] = {
      {"ipam: {ipv4: {pool: 10.8.0.0/25, blockLength: 29}, ipv6: {pool: none}}\n",
       "ipam.ipv4.pool: 10.8.0.0/25 here, 10.9.0.0/25 in the cluster (etcd key /millrace/v1/config)"},
      {"ipam: {ipv4: {pool: 10.9.0.0/25, blockLength: 28}, ipv6: {pool: none}}\n",
       "ipam.ipv4.blockLength: 28 here, 29 in the cluster"},
      {"ipam: {ipv4: {pool: 10.9.0.0/25, blockLength: 29}}\n",
       "ipam.ipv6.pool: fd00:10:244::/112 here, none in the cluster"},
      {"ipam: {ipv4: {pool: 10.9.0.0/25, blockLength: 29}, ipv6: {pool: none}}\nservices: {ipv4: 10.97.0.0/16}\n",
       "services.ipv4: 10.97.0.0/16 here, 10.96.0.0/12 in the cluster"},
      {"ipam: {ipv4: {pool: 10.9.0.0/25, blockLength: 29}, ipv6: {pool: none}}\nencapsulation: none\n",
       "encapsulation: none here, vxlan in the cluster"},
      {"ipam: {ipv4: {pool: 10.9.0.0/25, blockLength: 29}, ipv6: {pool: none}}\nvxlan: {vni: 7}\n",
       "vxlan.vni: 7 here, 4096 in the cluster"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.keys);
    const auto joined = make("node-1", row.keys)->membership->join();
    ASSERT_FALSE(joined.ok());
    EXPECT_EQ(joined.error().code, net::ErrorCode::kFailedPrecondition);
    EXPECT_NE(joined.error().message.find(row.error), std::string::npos) << joined.error().message;
  }
}

TEST_F(ClusterBlocks, a_second_machine_of_a_name_is_refused_while_the_first_is_there) {
  auto first = up("node-0");
  ASSERT_TRUE(comes_true([&] { return first->membership->status().is_member; }));
  ClusterNode twin(cluster_config("node-0", {server_->url()}), directory_.file("twin"), kTimeout);
  const auto refused = twin.membership->join();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, net::ErrorCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message.find("another machine at 192.0.2.1 is node node-0"), std::string::npos)
      << refused.error().message;
  first.reset();
  EXPECT_FALSE(twin.membership->join().ok()) << "the key stays for the rest of the lease";
  first = up("node-0");
  EXPECT_TRUE(comes_true([&] { return first->membership->status().is_member; })) << "the same instance comes back";
  first.reset();
  EXPECT_TRUE(comes_true([&] { return twin.membership->join().ok(); })) << "when the lease has ended";
  const auto names = twin.block_names();
  EXPECT_EQ(names.size(), 1u) << "a block of its own, and none of the first";
}

TEST_F(ClusterBlocks, nodes_find_each_other_and_a_node_that_is_gone_has_no_way) {
  auto one = up("node-0"), two = up("node-1");
  const auto way = [](const ClusterNode& to, const std::string& name, const std::string& address) {
    std::string text = name + " " + address + ":";
    for (const std::string& block : to.block_names()) text += " " + block;
    return std::vector{text + " " + address + "/32"};
  };
  EXPECT_TRUE(comes_true([&] { return one->tunnels() == way(*two, "node-1", "192.0.2.2"); }));
  EXPECT_TRUE(comes_true([&] { return two->tunnels() == way(*one, "node-0", "192.0.2.1"); }));
  ASSERT_EQ(fill(*two, "a", kAddresses + 1), kAddresses + 1);
  EXPECT_TRUE(comes_true([&] { return one->tunnels() == way(*two, "node-1", "192.0.2.2"); }))
      << "its second block, too";
  server_->kill();
  EXPECT_TRUE(comes_true([&] { return !one->membership->mirror().status().connected; }));
  EXPECT_EQ(one->tunnels().size(), 1u) << "with etcd away nothing is taken back";
  server_->start();
  server_->wait_ready();
  EXPECT_TRUE(comes_true([&] { return one->membership->status().is_member && two->membership->status().is_member; }));
  server_->ctl({"del", "/millrace/v1/nodes/node-1"});
  EXPECT_TRUE(comes_true([&] { return value("/millrace/v1/nodes/node-1").find("192.0.2.2") != std::string::npos; }))
      << "a node that lives puts its key again";
  two.reset();
  EXPECT_TRUE(comes_true([&] { return one->tunnels().empty(); })) << "when its lease has ended";
}

TEST_F(ClusterBlocks, what_a_dead_node_had_is_free_when_a_person_says_so_and_not_before) {
  auto one = up("node-0"), two = up("node-1");
  ASSERT_TRUE(comes_true([&] { return two->membership->status().is_member; }));
  const auto alive = one->membership->delete_node("node-1");
  ASSERT_FALSE(alive.ok());
  EXPECT_EQ(alive.error().code, net::ErrorCode::kFailedPrecondition) << alive.error().message;
  EXPECT_EQ(one->membership->delete_node("node-7").error().code, net::ErrorCode::kNotFound);
  server_->ctl({"put", "/millrace/v1/attachments/node-1/mr0", "{}"});
  const auto blocks = two->block_names();
  two.reset();
  ASSERT_TRUE(comes_true([&] { return value("/millrace/v1/nodes/node-1").empty(); }));
  EXPECT_NE(value("/millrace/v1/blocks/4/" + blocks[0].substr(0, blocks[0].find('/')) + "-29"), "")
      << "a lease that ends frees nothing";
  const auto removed = one->membership->delete_node("node-1");
  ASSERT_TRUE(removed.ok()) << removed.error().message;
  EXPECT_EQ(removed->attachments, 1u);
  ASSERT_EQ(removed->blocks.size(), 1u);
  EXPECT_EQ(removed->blocks[0].to_string(), blocks[0]);
  EXPECT_EQ(value("/millrace/v1/attachments/node-1/mr0"), "");
}

}  // namespace
}  // namespace millrace::control::agent
