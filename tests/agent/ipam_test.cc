// The built-in IPAM, as the store does it: tables, and a random run against a model.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <set>

#include "control/agent/interface_name.h"
#include "control/agent/store.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent {
namespace {

AddressBlock block(const char* pool, std::uint8_t bits, std::uint32_t index = 0) {
  return *AddressBlock::make(*net::Prefix::parse(pool), bits, index);
}

net::IpAddress ip(const std::string& text) { return *net::IpAddress::parse(text); }

Attachment attachment(const std::string& container) {
  Attachment a;
  a.key = {"net", container, "eth0"};
  a.host_interface = host_interface_name("millrace0", a.key);
  a.mtu = 1500;
  return a;
}

class Ipam : public testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    store_.reset();
    auto opened = Store::open(directory_.path());
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    store_ = *std::move(opened);
  }
  net::Result<Attachment> add(const std::string& container, std::vector<std::string> wanted = {},
                              std::vector<std::string> delegated = {}) {
    Store::AddressRequest request{.blocks = &blocks_, .wanted = {}, .delegated = {}};
    for (const auto& text : wanted) request.wanted.push_back(ip(text));
    for (const auto& text : delegated) request.delegated.push_back(ip(text));
    return store_->begin_add(attachment(container), request);
  }
  std::string added(const std::string& container, std::vector<std::string> wanted = {}) {
    auto a = add(container, std::move(wanted));
    if (!a) return a.error().message;
    std::string all;
    for (const auto& address : a->addresses) all += fmt::format("{}{}", all.empty() ? "" : " ", address.to_string());
    return all;
  }
  void del(const std::string& container) {
    auto found = store_->find({"net", container, "eth0"});
    ASSERT_TRUE(found.ok() && *found);
    ASSERT_TRUE(store_->finish_delete((*found)->id, blocks_).ok());
  }

  ScratchDirectory directory_;
  std::vector<AddressBlock> blocks_ = {block("10.9.0.0/16", 29)};  // pods: .2 .. .6
  std::unique_ptr<Store> store_;
};

TEST_F(Ipam, hands_out_never_used_addresses_in_order_then_the_longest_released) {
  EXPECT_EQ(added("a"), "10.9.0.2");
  EXPECT_EQ(added("b"), "10.9.0.3");
  del("a");
  EXPECT_EQ(added("c"), "10.9.0.4");
  EXPECT_EQ(added("d"), "10.9.0.5");
  del("b");
  EXPECT_EQ(added("e"), "10.9.0.6");
  EXPECT_EQ(added("f"), "10.9.0.2");  // released before .3
  EXPECT_EQ(added("g"), "10.9.0.3");
}

TEST_F(Ipam, remembers_the_order_of_release_over_a_restart) {
  for (const char* name : {"a", "b", "c", "d", "e"}) added(name);
  for (const char* name : {"d", "a", "c"}) del(name);
  reopen();
  EXPECT_EQ(added("f"), "10.9.0.5");
  reopen();
  EXPECT_EQ(added("g"), "10.9.0.2");
  EXPECT_EQ(added("h"), "10.9.0.4");
}

TEST_F(Ipam, says_pool_block_and_count_when_it_is_exhausted) {
  for (const char* name : {"a", "b", "c", "d", "e"}) added(name);
  auto full = add("f");
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().code, net::ErrorCode::kResourceExhausted);
  EXPECT_EQ(full.error().message,
            "ipam: no address is free in block 10.9.0.0/29 of pool 10.9.0.0/16: all 5 are in use");
  EXPECT_FALSE(store_->find({"net", "f", "eth0"})->has_value()) << "the refused attachment left a row";
  del("c");
  EXPECT_EQ(added("f"), "10.9.0.4");
}

TEST_F(Ipam, gives_a_wanted_address_or_says_why_not) {
  EXPECT_EQ(added("a", {"10.9.0.5"}), "10.9.0.5");
  EXPECT_EQ(added("b", {"10.9.0.5"}), "address 10.9.0.5 is another pod's");
  struct Row {
    const char* name;
    const char* address;
  };
  for (const Row& row : {Row{"the node's own", "10.9.0.1"}, Row{"network", "10.9.0.0"}, Row{"broadcast", "10.9.0.7"},
                         Row{"another block", "10.9.0.10"}, Row{"another family", "fd00::5"}}) {
    SCOPED_TRACE(row.name);
    auto refused = add("b", {row.address});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, net::ErrorCode::kInvalidArgument);
    EXPECT_NE(refused.error().message.find("10.9.0.2 .. 10.9.0.6"), std::string::npos) << refused.error().message;
  }
  // The order goes on around the wanted one.
  for (const char* address : {"10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.6"}) EXPECT_EQ(added(address), address);
}

TEST_F(Ipam, gives_one_address_a_family) {
  blocks_.push_back(block("fd00:9::/112", 120));
  EXPECT_EQ(added("a"), "10.9.0.2 fd00:9::2");
  EXPECT_EQ(added("b", {"fd00:9::77"}), "10.9.0.3 fd00:9::77");
  for (const char* name : {"c", "d", "e"}) added(name);
  EXPECT_FALSE(add("f").ok());
  // What the exhausted family refused, the other one did not lose.
  EXPECT_EQ(*store_->used(blocks_[1]), 5u);
}

TEST_F(Ipam, keeps_delegated_addresses_apart_but_unique) {
  ASSERT_TRUE(add("a", {}, {"10.9.0.2", "192.0.2.7"}).ok());
  EXPECT_EQ(added("b"), "10.9.0.3") << "a delegated address of the block is not handed out twice";
  auto twice = add("c", {}, {"192.0.2.7"});
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().code, net::ErrorCode::kAlreadyExists);
  del("a");
  ASSERT_TRUE(add("c", {}, {"192.0.2.7"}).ok());
}

TEST_F(Ipam, moves_to_another_block_and_back_without_losing_an_address) {
  for (const char* name : {"a", "b", "c"}) added(name);  // .2 .3 .4
  del("b");
  const auto before = blocks_;
  blocks_ = {block("10.9.0.0/16", 29, 1)};
  ASSERT_TRUE(store_->keep_only_blocks(blocks_).ok());
  EXPECT_EQ(added("d"), "10.9.0.10");
  del("a");  // its address is of no block now
  blocks_ = before;
  ASSERT_TRUE(store_->keep_only_blocks(blocks_).ok());
  std::set<std::string> all;
  for (const char* name : {"e", "f", "g", "h"}) all.insert(added(name));
  EXPECT_EQ(all, (std::set<std::string>{"10.9.0.2", "10.9.0.3", "10.9.0.5", "10.9.0.6"}));
}

TEST_F(Ipam, agrees_with_a_model_over_a_random_run) {
  // The model: a queue of free addresses. Never used ones in order, released ones at the end: one rule.
  blocks_ = {block("10.9.0.0/16", 27)};
  std::deque<std::string> free;
  for (std::uint32_t i = AddressBlock::kFirstPodIndex; i <= blocks_[0].last_index(); ++i) {
    free.push_back(blocks_[0].at(i).to_string());
  }
  std::vector<std::pair<std::string, std::string>> live;  // container, address
  std::mt19937 random(20240607);
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  for (int step = 0; step < 600; ++step) {
    SCOPED_TRACE(testing::Message() << "step " << step);
    if (step % 97 == 96) reopen();
    const std::string name = fmt::format("c{}", step);
    if (live.empty() || below(100) < 58) {
      if (free.empty()) {
        ASSERT_FALSE(add(name).ok());
        continue;
      }
      const bool wants = below(8) == 0;
      const auto chosen = free.begin() + static_cast<std::ptrdiff_t>(wants ? below(free.size()) : 0);
      ASSERT_EQ(added(name, wants ? std::vector{*chosen} : std::vector<std::string>{}), *chosen);
      live.emplace_back(name, *chosen);
      free.erase(chosen);
    } else {
      const auto victim = live.begin() + static_cast<std::ptrdiff_t>(below(live.size()));
      del(victim->first);
      free.push_back(victim->second);
      live.erase(victim);
    }
    ASSERT_EQ(*store_->used(blocks_[0]), live.size());
  }
}

}  // namespace
}  // namespace millrace::control::agent
