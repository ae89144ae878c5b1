// What a start makes of each state a crash can leave. Needs root; the host's side is a private namespace.
#include "control/agent/reconcile.h"

#include <gtest/gtest.h>

#include "control/agent/interface_name.h"
#include "control/netlink/netlink.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent {
namespace {

std::vector<AddressBlock> blocks(unsigned index = 0) {
  return {*AddressBlock::make(*net::Prefix::parse("10.9.0.0/16"), 28, index)};
}

class Reconcile : public testing::Test {
 protected:
  void SetUp() override {
    if (!enter_private_netns()) GTEST_SKIP() << "needs the right to make network namespaces";
    auto opened = Store::open(directory_.path());
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    store_ = *std::move(opened);
  }
  Attachment add(const std::string& container, AttachmentState state, bool with_interface) {
    Attachment a;
    a.key = {"net", container, "eth0"};
    a.host_interface = host_interface_name("millrace0", a.key);
    a.mtu = 1500;
    const auto all = blocks();
    auto begun = store_->begin_add(a, {.blocks = &all, .wanted = {}, .delegated = {}});
    EXPECT_TRUE(begun.ok());
    EXPECT_TRUE(store_->set_state(begun->id, state).ok());
    if (with_interface) {
      EXPECT_TRUE(netlink::Netlink::open()
                      ->add_veth({a.host_interface, mac_of("m", a.key, "host")},
                                 {container.substr(0, 10) + "-peer", mac_of("m", a.key, "pod")}, -1, 1500)
                      .ok());
    }
    return *begun;
  }
  ScratchDirectory directory_;
  std::unique_ptr<Store> store_;
};

TEST_F(Reconcile, undoes_finishes_keeps_or_removes) {
  struct Row {
    const char* name;
    AttachmentState state;
    bool interface;
    bool kept;
  };
  const Row rows[] = {
      {"add-before-veth", AttachmentState::kAdding, false, false},
      {"add-after-veth", AttachmentState::kAdding, true, false},
      {"active", AttachmentState::kActive, true, true},
      {"pod-is-gone", AttachmentState::kActive, false, false},
      {"del-before-veth", AttachmentState::kDeleting, true, false},
      {"del-after-veth", AttachmentState::kDeleting, false, false},
  };
  std::vector<Attachment> planned;
  for (const Row& row : rows) {
    EXPECT_EQ(is_kept(row.state, row.interface), row.kept) << row.name;
    planned.push_back(add(row.name, row.state, row.interface));
  }
  auto kept = reconcile(*store_, blocks());
  ASSERT_TRUE(kept.ok()) << kept.error().message;
  ASSERT_EQ(kept->size(), 1u);
  EXPECT_EQ(kept->front().key.container_id, "active");
  EXPECT_EQ(store_->list()->size(), 1u);
  EXPECT_EQ(*store_->used(blocks()[0]), 1u) << "the addresses of the others are free again";
  for (std::size_t i = 0; i < planned.size(); ++i) {
    EXPECT_EQ(netlink::Netlink::open()->link(planned[i].host_interface).ok(), rows[i].kept) << rows[i].name;
  }
}

TEST_F(Reconcile, keeps_the_addresses_of_pods_when_the_block_changes) {
  const Attachment pod = add("a", AttachmentState::kActive, true);
  ASSERT_TRUE(reconcile(*store_, blocks()).ok());
  EXPECT_EQ(store_->meta("block.ipv4")->value_or(""), "10.9.0.0/28");
  auto kept = reconcile(*store_, blocks(1));
  ASSERT_TRUE(kept.ok()) << kept.error().message;
  ASSERT_EQ(kept->size(), 1u);
  EXPECT_EQ(kept->front().addresses, pod.addresses);
  EXPECT_EQ(addresses_outside(*kept, blocks(1)), pod.addresses);
  EXPECT_TRUE(addresses_outside(*kept, blocks()).empty());
  EXPECT_EQ(store_->meta("block.ipv4")->value_or(""), "10.9.0.16/28");
}

TEST_F(Reconcile, refuses_a_block_whose_node_address_a_pod_has) {
  add("a", AttachmentState::kActive, true);  // 10.9.0.2
  add("b", AttachmentState::kActive, true);  // 10.9.0.3
  add("c", AttachmentState::kActive, true);  // 10.9.0.4
  add("d", AttachmentState::kActive, true);  // 10.9.0.5
  const std::vector<AddressBlock> changed = {*AddressBlock::make(*net::Prefix::parse("10.9.0.4/30"), 30, 0)};
  auto refused = reconcile(*store_, changed);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, net::ErrorCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message.find("net/d/eth0"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace millrace::control::agent
