// The words of the command line, the documents made from them, and what is said when nobody serves.
#include "control/cli/command.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "control/cli/client.h"
#include "control/cli/man_page.h"
#include "control/cli/pod_netns.h"
#include "control/config/config.h"

namespace millrace::control::cli {
namespace {

std::string file_text(const std::string& path) {
  std::ifstream file(std::string(MILLRACE_SOURCE) + "/" + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The exit status of a command line, and what it wrote to stderr.
std::pair<int, std::string> status_of(std::vector<std::string> words) {
  words.insert(words.begin(), "millrace");
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  const int status = run(static_cast<int>(argv.size()), argv.data());
  testing::internal::GetCapturedStdout();
  return {status, testing::internal::GetCapturedStderr()};
}

/// Config of an instance that does not run, in a directory of its own.
class Command : public ::testing::Test {
 protected:
  Command() {
    std::string name = "/tmp/mr-cli-test-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    config_ = directory_ + "/c.yaml";
    std::ofstream(config_) << "runtimeDir: " << directory_ << "/run\nstateDir: " << directory_ << "/state\n";
  }
  ~Command() override { std::filesystem::remove_all(directory_); }
  std::string directory_, config_;
};

TEST_F(Command, MistakesInTheWordsAreStatusTwo) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> rows = {
      {{}, "A subcommand is required"},
      {{"statsu"},
       "no command \"statsu\"; there are: up down status pod port node route tunnel ipam apply get delete trace drops "
       "policy counters flows topology config version"},
      {{"flows", "flsh"}, "no command \"flsh\"; there are: flush"},
      {{"flows", "flush", "--pod", "web", "--address", "10.0.0.1"}, "--pod excludes --address"},
      {{"flows", "flush", "--limit", "5"}, "were not expected: 5 --limit"},
      {{"pod", "lsit"}, "no command \"lsit\"; there are: add del list exec"},
      {{"status", "-o", "xml"}, "xml not in {table,json}"},
      {{"status", "--label"}, "not expected: --label"},
      {{"pod", "add"}, "NAME is required"},
      {{"pod", "exec", "web"}, "COMMAND is required"},
      {{"pod", "del"}, "NAME is required"},
      {{"apply"}, "--filename is required"},
      {{"policy", "show"}, "POD is required"},
      {{"node", "delete"}, "NAME is required"},
      {{"trace", "--live", "web", "--from", "db"}, "--from excludes --live"},
      {{"trace", "--source-port", "65536"}, "--source-port: Value 65536 not in range 0 to 65535"},
      {{"get"}, "KIND is required"},
      {{"get", "svc", "-o", "name"}, "name not in {table,json,yaml,wide}"},
  };
  for (const auto& [words, text] : rows) {
    const auto [status, said] = status_of(words);
    EXPECT_EQ(status, 2) << said;
    EXPECT_NE(said.find(text), std::string::npos) << said;
  }
}

TEST_F(Command, ThatNeedsADaemonSaysHowToStartIt) {
  const std::string agent = "millrace: millrace-agent is not running at " + directory_ +
                            "/run/agent.sock; start it with: millrace --config " + config_ + " up\n";
  const std::string the_switch = "millrace: millraced is not running at " + directory_ +
                                 "/run/switch.sock; start it with: millrace --config " + config_ + " up\n";
  const std::vector<std::pair<std::vector<std::string>, std::string>> rows = {
      {{"pod", "list"}, agent},
      {{"pod", "exec", "web", "--", "true"}, agent},
      {{"port", "list"}, the_switch},
      {{"counters"}, the_switch},
      {{"flows"}, the_switch},
      {{"flows", "--pod", "web"}, agent},
      {{"flows", "flush"}, the_switch},
      {{"flows", "flush", "--address", "10.0.0.1"}, the_switch},
      {{"flows", "flush", "--pod", "web"}, agent},
      {{"flows", "--pod", "web", "flush"}, agent},
      {{"topology"}, the_switch},
      {{"get", "svc"}, agent},
      {{"delete", "svc", "web"}, agent},
      {{"trace", "--live", "web"}, agent},
      {{"drops"}, the_switch},
      {{"drops", "--watch"}, the_switch},
      {{"policy", "show", "web"}, agent},
      {{"trace", "--from", "10.0.0.1", "--to", "10.0.0.2", "--port", "80"}, the_switch},
  };
  for (auto [words, text] : rows) {
    words.insert(words.begin(), {"--config", config_});
    const auto [status, said] = status_of(words);
    EXPECT_EQ(status, 1);
    EXPECT_EQ(said, text);
  }
  EXPECT_EQ(status_of({"--config", config_, "status"}).first, 1);
}

TEST_F(Command, AFlushThatCannotBeMeantIsRefusedByTheNameOfTheWord) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> rows = {
      {{"flows", "flush", "--address", "10.0.0"},
       "--address: IP address \"10.0.0\": want IPv4 as 192.0.2.1 or IPv6 as 2001:db8::1"},
      {{"flows", "--limit", "5", "flush"}, "--limit: flush has no such option"},
      {{"flows", "--watch", "flush"}, "--watch: flush has no such option"},
      {{"flows", "--pod", "web", "flush", "--address", "10.0.0.1"},
       "--address: --pod is given as well; allowed: one of the two"},
  };
  for (auto [words, text] : rows) {
    words.insert(words.begin(), {"--config", config_});
    const auto [status, said] = status_of(words);
    EXPECT_EQ(status, 1);
    EXPECT_EQ(said, "millrace: " + text + "\n");
  }
}

TEST_F(Command, DownOfWhatNeverRanSucceeds) {
  EXPECT_EQ(status_of({"--config", config_, "down"}).first, 0);
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/run"));
}

TEST_F(Command, ConfigFileComesFromTheEnvironmentToo) {
  std::ofstream(config_) << "mtu: 1\n";
  ::setenv("MILLRACE_CONFIG", config_.c_str(), 1);
  const auto [status, said] = status_of({"config", "check"});
  ::unsetenv("MILLRACE_CONFIG");
  EXPECT_EQ(status, 1);
  EXPECT_EQ(said, "millrace: " + config_ + ":1: mtu: 1 is out of range; allowed: auto, or 576..3400\n");
}

TEST_F(Command, RepeatedOptionsDoNotSwallowTheName) {
  // Refused for the label, which is only looked at when every other word found its place.
  const auto [status, said] = status_of({"--config", config_, "pod", "add", "--label", "a=b", "--label", "c", "web"});
  EXPECT_EQ(status, 1);
  EXPECT_EQ(said.substr(0, 33), "millrace: --label: \"c\" has no '='");
}

TEST(Documents, AreWhatTheProgramPrints) {
  Context context;
  EXPECT_EQ(file_text("docs/config.md"), config::markdown_text()) << "run: millrace config docs > docs/config.md";
  EXPECT_EQ(file_text("docs/man/millrace.yaml.5"), config_page()) << "run: millrace config docs --format man";
  EXPECT_EQ(file_text("docs/man/millrace.8"), command_page(*make_app(context)))
      << "run: millrace config docs --format man-command";
}

TEST(Documents, RoffKeepsTextAsItIs) { EXPECT_EQ(roff_text(".a -b\n'c\\d.e"), "\\&.a \\-b\n\\&'c\\ed.e"); }

TEST(PodNetns, NamesOfPodsNeverMeet) {
  const std::string home = "/run/millrace";
  EXPECT_EQ(netns_name(home, "default", "web"), "mr-default.web");
  EXPECT_NE(netns_name(home, "a-b", "c"), netns_name(home, "a", "b-c"));
  EXPECT_NE(netns_name(home, "a", "b.c"), netns_name(home, "a", "b"));
  EXPECT_NE(netns_name("/run/second", "default", "web"), netns_name(home, "default", "web"));
  EXPECT_NE(netns_name("/run/second", "default", "web"), netns_name("/run/third", "default", "web"));
  const std::string one = netns_name(home, "n", std::string(252, 'a') + "1"),
                    two = netns_name(home, "n", std::string(252, 'a') + "2");
  EXPECT_EQ(one.size(), 200u);
  EXPECT_NE(one, two);
}

TEST(Probe, TellsASocketThatNobodyServes) {
  std::string name = "/tmp/mr-cli-test-XXXXXX";
  const std::string directory = ::mkdtemp(name.data());
  const std::string path = directory + "/d.sock";
  EXPECT_EQ(probe_socket("d", path, "millrace up").error().message,
            "d is not running at " + path + "; start it with: millrace up");
  EXPECT_EQ(probe_socket("d", std::string(200, 'x'), "up").error().code, net::ErrorCode::kInvalidArgument);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace millrace::control::cli
