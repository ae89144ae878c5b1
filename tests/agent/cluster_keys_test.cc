// Keys of the cluster: each has one form, no two things have one key, and what is no key of ours is told from it.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "control/agent/cluster/keys.h"

namespace millrace::control::agent::cluster {
namespace {

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }

TEST(Keys, each_thing_has_its_place) {
  struct Row {
    Key key;
    const char* text;
  };
  const Row rows[] = {
      {kube::ObjectKey{kube::Kind::kService, "default", "web"}, "/m/objects/Service/default/web"},
      {kube::ObjectKey{kube::Kind::kNode, "", "n1.example.org"}, "/m/objects/Node//n1.example.org"},
      {kube::ObjectKey{kube::Kind::kEndpointSlice, "a", "b"}, "/m/objects/EndpointSlice/a/b"},
      {ClusterIpKey{ip("10.96.0.10")}, "/m/claims/clusterip/10.96.0.10"},
      {ClusterIpKey{ip("fd00::a")}, "/m/claims/clusterip/fd00::a"},
      {NodePortKey{30080}, "/m/claims/nodeport/30080"},
      {AttachmentPlace{"n1", "mr0123456789ab"}, "/m/attachments/n1/mr0123456789ab"},
      {AttachmentPlace{"n/1", "a b%"}, "/m/attachments/n%2F1/a%20b%25"},
      {NodeKey{"n1"}, "/m/nodes/n1"},
      {BlockKey{*net::Prefix::parse("10.244.3.64/26")}, "/m/blocks/4/10.244.3.64-26"},
      {BlockKey{*net::Prefix::parse("fd00:244::40/122")}, "/m/blocks/6/fd00:244::40-122"},
  };
  const Keys keys("/m");
  for (const Row& row : rows) {
    EXPECT_EQ(keys.print(row.key), row.text);
    EXPECT_EQ(keys.parse(row.text), row.key) << row.text;
  }
}

TEST(Keys, what_is_written_otherwise_is_not_ours) {
  const Keys keys("/m/");
  for (const char* text : {"",
                           "/",
                           "/m/",
                           "/n/nodes/n1",
                           "/m/nodes",
                           "/m/nodes/",
                           "/m/nodes/n1/",
                           "/m/nodes/n1/x",
                           "/m/nodes/%6E1",
                           "/m/nodes/n%2f1",
                           "/m/nodes/n%2",
                           "/m/nodes/n%",
                           "/m/nodes/a b",
                           "/m/objects/service/default/web",
                           "/m/objects/Service//web",
                           "/m/objects/Node/default/n1",
                           "/m/objects/Secret/default/x",
                           "/m/objects/Service/default/",
                           "/m/objects/Service/default/web/x",
                           "/m/claims/clusterip/10.96.0.010",
                           "/m/claims/clusterip/FD00::A",
                           "/m/claims/clusterip/",
                           "/m/claims/nodeport/030080",
                           "/m/claims/nodeport/+1",
                           "/m/claims/nodeport/0",
                           "/m/claims/nodeport/65536",
                           "/m/claims/nodeport/TCP-30080",
                           "/m/attachments/n1",
                           "/m/attachments//if0",
                           "/m/blocks/4/10.244.0.1-26",
                           "/m/blocks/6/10.244.0.0-26",
                           "/m/blocks/4/10.244.0.0/26",
                           "/m/blocks/4/10.244.0.0-33",
                           "/m/other/x"}) {
    EXPECT_EQ(keys.parse(text), std::nullopt) << text;
  }
}

TEST(Keys, lists_hold_their_own_and_nobody_elses) {
  const Keys keys("/m/");
  const std::string key = keys.print(AttachmentPlace{"n1", "if0"});
  EXPECT_TRUE(key.starts_with(keys.attachments_of("n1")));
  EXPECT_FALSE(keys.print(AttachmentPlace{"n10", "if0"}).starts_with(keys.attachments_of("n1")));
  EXPECT_FALSE(keys.print(AttachmentPlace{"n1/x", "if0"}).starts_with(keys.attachments_of("n1")));
  EXPECT_TRUE(keys.print(BlockKey{*net::Prefix::parse("fd00::/64")}).starts_with(keys.blocks_of(6)));
}

/// Any bytes at all: back to what they were, and never another's key.
TEST(Keys, escapes_whatever_a_name_is_made_of) {
  const Keys keys("/m/");
  std::mt19937 random(3);
  std::set<std::string> names, printed;
  for (int i = 0; i < 2000; ++i) {
    std::string name;
    for (auto length = 1 + random() % 4; length > 0; --length) name += static_cast<char>(random() % 256);
    names.insert(name);
    const std::string text = keys.print(NodeKey{name});
    printed.insert(text);
    ASSERT_EQ(keys.parse(text), Key(NodeKey{name}));
    ASSERT_EQ(text.find('/', keys.nodes().size()), std::string::npos);
  }
  EXPECT_EQ(names.size(), printed.size());
}

}  // namespace
}  // namespace millrace::control::agent::cluster
