// Chains of CNI plugins: real processes that write down what they were given.
#include "control/cli/cni_network.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace millrace::control::cli {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

/// A directory with plugins that are shell scripts: each adds its stdin and environment to `calls`.
class CniNetworkTest : public ::testing::Test {
 protected:
  CniNetworkTest() {
    std::string name = "/tmp/mr-cli-test-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    attachment_ = {.container_id = "c1", .netns = "/run/netns/x", .args = "K=V", .path = "/nonexistent:" + directory_};
  }
  ~CniNetworkTest() override { fs::remove_all(directory_); }

  void plugin(const std::string& type, const std::string& answer, int status = 0) {
    const std::string path = directory_ + "/" + type;
    std::ofstream file(path);
    file << "#!/bin/sh\ninput=$(cat)\n"
         << "printf '%s\\n' \"{\\\"type\\\":\\\"" << type << "\\\",\\\"command\\\":\\\"$CNI_COMMAND\\\",\\\"id\\\":"
         << "\\\"$CNI_CONTAINERID\\\",\\\"ifname\\\":\\\"$CNI_IFNAME\\\",\\\"args\\\":\\\"$CNI_ARGS\\\",\\\"home\\\":"
         << "\\\"$HOME\\\",\\\"stdin\\\":$input}\" >> " << directory_ << "/calls\n"
         << "[ \"$CNI_COMMAND\" = DEL ] && exit " << (type == "baddel" ? 1 : 0) << "\n"
         << "cat <<'END'\n"
         << answer << "\nEND\nexit " << status << "\n";
    file.close();
    fs::permissions(path, fs::perms::owner_all);
  }

  std::vector<Json> calls() const {
    std::ifstream file(directory_ + "/calls");
    std::vector<Json> out;
    for (std::string line; std::getline(file, line);) out.push_back(Json::parse(line));
    return out;
  }

  static CniNetwork network(const std::string& text) {
    auto parsed = CniNetwork::parse(text, "n.conflist");
    EXPECT_TRUE(parsed.ok()) << (parsed.ok() ? "" : parsed.error().message);
    return *parsed;
  }

  std::string directory_;
  CniAttachment attachment_;
};

const char* const kTwo = R"({"cniVersion": "1.0.0", "name": "net", "plugins": [
    {"type": "one", "mtu": 9}, {"type": "two", "capabilities": {"mac": true, "ips": false}}]})";

TEST_F(CniNetworkTest, AddFeedsEachResultToTheNext) {
  plugin("one", R"({"ips": [1]})");
  plugin("two", R"({"ips": [2]})");
  const auto result = network(kTwo).add(attachment_, {{"mac", "02:00:00:00:00:01"}, {"ips", {"10.0.0.1"}}});
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(*result, Json::parse(R"({"ips": [2]})"));
  ASSERT_EQ(calls().size(), 2u);
  EXPECT_EQ(calls()[0], Json::parse(R"({"type": "one", "command": "ADD", "id": "c1", "ifname": "eth0", "args": "K=V",
      "home": "", "stdin": {"cniVersion": "1.0.0", "name": "net", "type": "one", "mtu": 9}})"));
  EXPECT_EQ(calls()[1]["stdin"], Json::parse(R"({"cniVersion": "1.0.0", "name": "net", "type": "two",
      "runtimeConfig": {"mac": "02:00:00:00:00:01"}, "prevResult": {"ips": [1]}})"));
}

TEST_F(CniNetworkTest, RemoveRunsInReverseWithTheWholeResult) {
  plugin("one", "");
  plugin("two", "");
  const auto removed = network(kTwo).remove(attachment_, Json::object(), {{"ips", {2}}});
  ASSERT_TRUE(removed.ok()) << removed.error().message;
  ASSERT_EQ(calls().size(), 2u);
  EXPECT_EQ(calls()[0]["type"], "two");
  EXPECT_EQ(calls()[0]["command"], "DEL");
  EXPECT_EQ(calls()[1]["type"], "one");
  EXPECT_EQ(calls()[1]["stdin"]["prevResult"], Json::parse(R"({"ips": [2]})"));
}

TEST_F(CniNetworkTest, RemoveOfAnOldVersionGivesNoResult) {
  plugin("one", "");
  ASSERT_TRUE(network(R"({"cniVersion": "0.3.1", "name": "n", "type": "one"})")
                  .remove(attachment_, Json::object(), {{"ips", {2}}})
                  .ok());
  EXPECT_FALSE(calls().at(0)["stdin"].contains("prevResult"));
}

TEST_F(CniNetworkTest, RemoveGoesOnPastAPluginThatFails) {
  plugin("one", "");
  plugin("baddel", "");
  const auto removed =
      network(R"({"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "one"}, {"type": "baddel"}]})")
          .remove(attachment_, Json::object(), nullptr);
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.error().message, "baddel DEL: exit status 1");
  EXPECT_EQ(calls().size(), 2u);
}

TEST_F(CniNetworkTest, AddStopsAtThePluginThatFailsAndTellsItsError) {
  plugin("one", R"({"code": 11, "msg": "agent is away", "details": "try later"})", 1);
  plugin("two", "{}");
  const auto result = network(kTwo).add(attachment_, Json::object());
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, net::ErrorCode::kUnavailable);
  EXPECT_EQ(result.error().message, "one ADD: agent is away: try later (CNI error 11)");
  EXPECT_EQ(calls().size(), 1u);
}

TEST_F(CniNetworkTest, AnAnswerThatIsNoResultIsAnError) {
  plugin("two", "{}");
  plugin("one", "hello");
  EXPECT_EQ(network(kTwo).add(attachment_, Json::object()).error().message, "one ADD: its answer is not JSON");
  plugin("one", "");
  EXPECT_EQ(network(kTwo).add(attachment_, Json::object()).error().message, "one ADD: it printed no result");
}

TEST_F(CniNetworkTest, APluginThatIsNotThereIsToldBeforeAnythingRuns) {
  plugin("one", "{}");
  const auto checked = network(kTwo).check_plugins(attachment_.path);
  ASSERT_FALSE(checked.ok());
  EXPECT_EQ(checked.error().message, "the CNI plugin two is in no directory of /nonexistent:" + directory_);
  EXPECT_EQ(
      network(R"({"cniVersion": "1.0.0", "name": "n", "type": "../bin/sh"})").check_plugins("/bin").error().message,
      "type \"../bin/sh\" of a CNI plugin; allowed: the name of a program");
}

TEST_F(CniNetworkTest, RefusesWhatIsNoNetwork) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"", "f: not a JSON object"},
      {"[1]", "f: not a JSON object"},
      {R"({"name": "n"})", "f: cniVersion: is missing; allowed: 0.3.1 to 1.1.0"},
      {R"({"cniVersion": "1.0.0", "name": 7})", "f: name: is missing; allowed: text"},
      {R"({"cniVersion": "1.0.0", "name": "n", "plugins": []})", "f: plugins: allowed: a list of at least one plugin"},
      {R"({"cniVersion": "1.0.0", "name": "n", "plugins": [{}]})", "f: plugins: each is an object with a type"},
      {R"({"cniVersion": "1.0.0", "name": "n"})", "f: plugins: each is an object with a type"},
  };
  for (const auto& [text, error] : rows) {
    SCOPED_TRACE(text);
    const auto parsed = CniNetwork::parse(text, "f");
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().message, error);
  }
}

TEST_F(CniNetworkTest, OfADirectoryTheFirstFileCounts) {
  std::ofstream(directory_ + "/20-b.conflist") << R"({"cniVersion": "1.0.0", "name": "b", "type": "x"})";
  std::ofstream(directory_ + "/10-a.conf") << R"({"cniVersion": "1.0.0", "name": "a", "type": "x"})";
  std::ofstream(directory_ + "/00-readme.txt") << "no configuration";
  const auto loaded = CniNetwork::load(directory_);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->name(), "a");
}

}  // namespace
}  // namespace millrace::control::cli
