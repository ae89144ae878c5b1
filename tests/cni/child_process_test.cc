// Children that behave, and children that do not: /bin/sh with the test's script on its stdin.
#include "cni-shim/child_process.h"

#include <csignal>

#include "tests/cni/support.h"

namespace millrace::cni_shim::testing {
namespace {

[[maybe_unused]] const auto kIgnoredSigpipe = std::signal(SIGPIPE, SIG_IGN);  // as the program does

using std::chrono::milliseconds;

constexpr milliseconds kPlenty{20'000};

CniResult<ChildOutcome> shell(std::string_view script, milliseconds timeout = kPlenty) {
  return run_child("/bin/sh", {"COLOUR=red", "PATH=/usr/bin:/bin"}, script, timeout);
}

TEST(ChildProcess, GivesOutputAndExitStatus) {
  const std::pair<std::string, ChildOutcome> rows[] = {
      {"echo hello", {0, "hello\n"}},
      {"echo $COLOUR; exit 3", {3, "red\n"}},
      {"kill -9 $$", {137, ""}},
      {"", {0, ""}},
  };
  for (const auto& [script, expected] : rows) {
    SCOPED_TRACE(script);
    const auto outcome = shell(script);
    ASSERT_TRUE(outcome.ok()) << outcome.error().message;
    EXPECT_EQ(outcome->exit_status, expected.exit_status);
    EXPECT_EQ(outcome->output, expected.output);
  }
}

TEST(ChildProcess, PassesMoreThanAPipeHoldsBothWays) {
  std::string text(900'000, 'x');
  for (std::size_t i = 0; i < text.size(); i += 80) text[i] = '\n';
  const auto outcome = run_child("/bin/cat", {}, text, kPlenty);
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_TRUE(outcome->output == text);
}

TEST(ChildProcess, AChildThatReadsNothingDoesNotHurt) {
  const auto outcome = run_child("/bin/true", {}, std::string(900'000, 'x'), kPlenty);
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_EQ(outcome->exit_status, 0);
}

TEST(ChildProcess, AProcessLeftBehindIsNotWaitedFor) {
  const auto outcome = shell("echo $$; sleep 30 & echo $!");  // the sleeper holds stdout open
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  const auto lines = outcome->output;
  const int sleeper = std::stoi(lines.substr(lines.find('\n') + 1));
  EXPECT_EQ(::kill(sleeper, SIGKILL), 0) << "it should still run";
}

TEST(ChildProcess, IsStoppedAtItsDeadline) {
  const auto start = std::chrono::steady_clock::now();
  const auto outcome = shell("exec sleep 60", milliseconds(100));
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, CniCode::kIoFailure);
  EXPECT_NE(outcome.error().message.find("deadline"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(10'000));
}

TEST(ChildProcess, IsStoppedWhenItTalksWithoutEnd) {
  const auto outcome = run_child("/usr/bin/yes", {}, "", kPlenty);
  ASSERT_FALSE(outcome.ok());
  EXPECT_NE(outcome.error().message.find("1048576"), std::string::npos) << outcome.error().message;
}

TEST(ChildProcess, SaysWhenItCannotBeStarted) {
  const auto outcome = run_child("/nonexistent/plugin", {}, "", kPlenty);
  ASSERT_FALSE(outcome.ok());
  EXPECT_NE(outcome.error().message.find("/nonexistent/plugin"), std::string::npos);
}

}  // namespace
}  // namespace millrace::cni_shim::testing
