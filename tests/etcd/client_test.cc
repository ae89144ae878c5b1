// Reads, writes and what they refuse, against a real etcd.
#include "control/etcd/client.h"

#include <gtest/gtest.h>

#include "tests/etcd/server.h"

namespace millrace::control::etcd {
namespace {

using net::ErrorCode;
using std::chrono::milliseconds;

class ClientTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = start_server(); }
  static void TearDownTestSuite() { server_.reset(); }
  void SetUp() override {
    client_ = open(server_->options());
    for (const char* prefix : {"/a/", "/b/", "x"}) ASSERT_TRUE(client_->erase_prefix(prefix).ok());
  }

  std::int64_t put(const std::string& key, const std::string& value) {
    const auto revision = client_->put({.key = key, .value = value, .lease = 0});
    EXPECT_TRUE(revision.ok()) << revision.error().message;
    return revision.ok() ? *revision : 0;
  }

  std::vector<std::string> keys(const std::string& prefix, std::int64_t revision = 0) {
    const auto range = client_->range(prefix, revision, 0);
    EXPECT_TRUE(range.ok()) << range.error().message;
    std::vector<std::string> found;
    if (range.ok()) {
      for (const KeyValue& item : range->items) found.push_back(item.key);
    }
    return found;
  }

  static std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
};
std::unique_ptr<Server> ClientTest::server_;

using Keys = std::vector<std::string>;

TEST_F(ClientTest, AKeyIsReadAsItWasPut) {
  const std::int64_t first = put("/a/1", std::string("a\0b", 3));
  const std::int64_t second = put("/a/1", "c");
  EXPECT_EQ(second, first + 1);
  const auto found = client_->get("/a/1");
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ(**found,
            (KeyValue{.key = "/a/1", .value = "c", .create_revision = first, .mod_revision = second, .version = 2}));
  const auto old = client_->range("/a/1", first, 0);
  ASSERT_TRUE(old.ok());
  EXPECT_EQ(old->items.at(0).value, std::string("a\0b", 3));
  EXPECT_EQ(client_->get("/a/2")->has_value(), false);
}

TEST_F(ClientTest, APrefixEndsWhereItEnds) {
  for (const char* key : {"x", "x\xff", "x\xff\xff", "x\xff\x01", "y"}) put(key, "");
  EXPECT_EQ(keys("x\xff"), (Keys{"x\xff", "x\xff\x01", "x\xff\xff"}));
  EXPECT_EQ(keys("x"), (Keys{"x", "x\xff", "x\xff\x01", "x\xff\xff"}));
  EXPECT_EQ(keys("\xff"), Keys{});
  ASSERT_TRUE(client_->erase_prefix("x\xff").ok());
  EXPECT_EQ(keys(""), (Keys{"x", "y"}));
  ASSERT_TRUE(client_->erase_prefix("y").ok());
}

TEST_F(ClientTest, PagesAtOneRevisionMakeTheWhole) {
  for (int i = 0; i < 7; ++i) put("/a/" + std::string(1, static_cast<char>('0' + i)), "v");
  auto page = client_->range("/a/", 0, 3);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->count, 7);
  const std::int64_t revision = page->revision;
  put("/a/9", "later");
  Keys found;
  for (;;) {
    for (const KeyValue& item : page->items) found.push_back(item.key);
    if (!page->more) break;
    page = client_->range("/a/", revision, 3, page->items.back().key + '\0');
    ASSERT_TRUE(page.ok());
  }
  EXPECT_EQ(found, keys("/a/", revision));
  EXPECT_EQ(found.size(), 7U);
}

TEST_F(ClientTest, ATransactionIsAllOrItsReads) {
  const std::int64_t revision = put("/a/held", "by one");
  const Txn claim{.compares = {{.key = "/a/new", .target = Compare::Target::kVersion, .value = 0},
                               {.key = "/a/held", .target = Compare::Target::kModRevision, .value = revision}},
                  .puts = {{.key = "/a/new", .value = "mine", .lease = 0}},
                  .erases = {{.key = "/a/held"}},
                  .ranges_else = {"/a/held", "/a/new", "/a/none"}};
  const auto done = client_->txn(claim);
  ASSERT_TRUE(done.ok());
  EXPECT_TRUE(done->succeeded);
  EXPECT_EQ(done->revision, revision + 1);
  EXPECT_EQ(keys("/a/"), Keys{"/a/new"});
  const auto again = client_->txn(claim);
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(again->succeeded);
  ASSERT_EQ(again->found.size(), 1U);
  EXPECT_EQ(again->found[0].value, "mine");
  EXPECT_EQ(again->found[0].create_revision, revision + 1);
}

TEST_F(ClientTest, CreateRevisionIsCompared) {
  const std::int64_t revision = put("/a/1", "v");
  for (const std::int64_t value : {revision, revision + 1}) {
    const auto done =
        client_->txn({.compares = {{.key = "/a/1", .target = Compare::Target::kCreateRevision, .value = value}},
                      .puts = {},
                      .erases = {},
                      .ranges_else = {}});
    ASSERT_TRUE(done.ok());
    EXPECT_EQ(done->succeeded, value == revision);
  }
}

TEST_F(ClientTest, RefusesWhatIsBeyondItsLimitsBeforeSendingIt) {
  Txn full;
  for (std::size_t i = 0; i < kTxnOperations; ++i)
    full.puts.push_back({.key = "/a/" + std::to_string(i), .value = "", .lease = 0});
  ASSERT_TRUE(client_->txn(full).ok());
  Txn over = full;
  over.erases.push_back({.key = "/a/last"});
  EXPECT_EQ(client_->txn(over).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client_->txn(over).error().message, "a transaction of etcd has at most 128 puts and deletions, not 129");
  const Put large{.key = "/a/large", .value = std::string(kRequestBytes - 32, 'v'), .lease = 0};
  EXPECT_TRUE(client_->put(large).ok());
  const Put larger{.key = "/a/large", .value = std::string(kRequestBytes, 'v'), .lease = 0};
  EXPECT_EQ(client_->put(larger).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client_->put({.key = "", .value = "", .lease = 0}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client_->get("").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client_->erase_prefix("").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client_->range("/a/", -1, 0).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client_->range("/a/", 0, 0, "/b/").error().code, ErrorCode::kInvalidArgument);
}

TEST_F(ClientTest, WhatEtcdRefusesHasACodeAndNamesTheEndpoint) {
  const auto no_lease = client_->put({.key = "/a/1", .value = "", .lease = 12345});
  EXPECT_EQ(no_lease.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(no_lease.error().message, "etcd " + server_->url() + ": requested lease not found");
  const std::int64_t old = put("/a/1", "v");
  const std::int64_t now = put("/a/1", "w");
  server_->ctl({"compact", std::to_string(now)});
  const auto compacted = client_->range("/a/", old, 0);
  EXPECT_EQ(compacted.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(compacted.error().message.find("compacted"), std::string::npos);
  EXPECT_EQ(client_->range("/a/", now + 1000, 0).error().code, ErrorCode::kInvalidArgument);
  const auto twice = client_->txn({.compares = {},
                                   .puts = {{.key = "/a/1", .value = "", .lease = 0}},
                                   .erases = {{.key = "/a/1"}},
                                   .ranges_else = {}});
  EXPECT_EQ(twice.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace millrace::control::etcd
