// Users, passwords and tokens against a real etcd.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "control/etcd/mirror.h"
#include "tests/etcd/recorder.h"
#include "tests/etcd/server.h"

namespace millrace::control::etcd {
namespace {

using net::ErrorCode;
using namespace std::chrono_literals;

constexpr MirrorTimes kTimes{.silence = 300ms, .answer = 500ms, .first_backoff = 20ms, .last_backoff = 200ms};

class AuthTest : public testing::Test {
 protected:
  /// A cluster that knows root, and "node" who may use /m/ alone.
  void SetUp() override {
    server_ = start_server({.name = "one", .cluster = "", .more = {"--auth-token-ttl", "1"}, .under = {}});
    server_->ctl({"user", "add", "root:rootpw"});
    server_->ctl({"user", "grant-role", "root", "root"});
    server_->ctl({"user", "add", "node:secret"});
    server_->ctl({"role", "add", "net"});
    server_->ctl({"role", "grant-permission", "net", "--prefix=true", "readwrite", "/m/"});
    server_->ctl({"user", "grant-role", "node", "net"});
    server_->ctl({"auth", "enable"});
  }

  Options options(const std::string& password) {
    Options made = server_->options();
    made.user = "node";
    made.password_file = directory_.write("password", password);
    return made;
  }
  static net::Result<std::int64_t> put(Client& client, const std::string& key, const std::string& value) {
    return client.put({.key = key, .value = value, .lease = 0});
  }

  Directory directory_;
  std::unique_ptr<Server> server_;
};

TEST_F(AuthTest, AUserMayDoWhatItsRoleMay) {
  const auto client = open(options("secret\n"));
  EXPECT_TRUE(put(*client, "/m/1", "a").ok());
  const auto elsewhere = put(*client, "/other", "a");
  EXPECT_EQ(elsewhere.error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(elsewhere.error().message, "etcd " + server_->url() + ": permission denied");
  EXPECT_EQ(client->range("", 0, 0).error().code, ErrorCode::kPermissionDenied);
}

TEST_F(AuthTest, NoUserAndAWrongPasswordAreRefused) {
  const auto nobody = put(*open(server_->options()), "/m/1", "a");
  EXPECT_EQ(nobody.error().code, ErrorCode::kPermissionDenied);
  EXPECT_NE(nobody.error().message.find("etcd.user"), std::string::npos) << nobody.error().message;
  EXPECT_EQ(put(*open(options("wrong")), "/m/1", "a").error().code, ErrorCode::kPermissionDenied);
}

TEST_F(AuthTest, ATokenThatWasForgottenIsReplaced) {
  const auto client = open(options("secret"));
  Recorder recorder;
  Mirror mirror(*client, "/m/", recorder.on_batch(), kTimes);
  mirror.start();
  ASSERT_TRUE(mirror.wait_for_revision(*put(*client, "/m/1", "a"), Recorder::kPatience));
  // Tokens are kept in memory, and for a second after their last use.
  server_->kill();
  server_->start();
  server_->wait_ready();
  auto done = put(*client, "/m/1", "b");
  if (!done.ok()) done = put(*client, "/m/1", "b");  // the first may have met the connection that died
  ASSERT_TRUE(done.ok()) << done.error().message;
  ASSERT_TRUE(mirror.wait_for_revision(*done, Recorder::kPatience));
  EXPECT_FALSE(mirror.wait_for_revision(1'000'000, 2500ms)) << "longer than a token lives";
  done = put(*client, "/m/1", "c");
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_TRUE(recorder.wait_key("/m/1", "c"));
  EXPECT_EQ(mirror.status().relists, 0U);
}

TEST_F(AuthTest, AChangedPasswordIsReadFromItsFile) {
  const auto client = open(options("secret"));
  ASSERT_TRUE(put(*client, "/m/1", "a").ok());
  const auto root = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"--user", "root:rootpw"});
    return server_->ctl(words);
  };
  root({"user", "delete", "node"});
  root({"user", "add", "node:changed"});
  root({"user", "grant-role", "node", "net"});
  EXPECT_EQ(put(*client, "/m/1", "b").error().code, ErrorCode::kPermissionDenied);
  directory_.write("password", "changed\n");
  const auto done = put(*client, "/m/1", "c");
  EXPECT_TRUE(done.ok()) << done.error().message;
}

TEST_F(AuthTest, AMirrorWithoutTheRightSaysSo) {
  const auto client = open(options("secret"));
  Recorder recorder;
  Mirror mirror(*client, "/other/", recorder.on_batch(), kTimes);
  mirror.start();
  EXPECT_FALSE(mirror.wait_for_revision(1, 500ms));
  EXPECT_FALSE(mirror.status().connected);
  EXPECT_NE(mirror.status().message.find("permission denied"), std::string::npos) << mirror.status().message;
  EXPECT_TRUE(recorder.batches().empty());
}

TEST(AuthOff, AUserIsNoHarm) {
  const Directory directory;
  const auto server = start_server();
  Options options = server->options();
  options.user = "node";
  options.password_file = directory.write("password", "secret");
  EXPECT_TRUE(open(options)->put({.key = "/m/1", .value = "a", .lease = 0}).ok());
}

}  // namespace
}  // namespace millrace::control::etcd
