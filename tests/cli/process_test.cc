// Processes, pid files and readiness, with real children. Nothing waits for a time: only for ends and messages.
#include "control/cli/process.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "control/api/service_manager.h"
#include "control/cli/pid_file.h"
#include "control/cli/ready_socket.h"

namespace millrace::control::cli {
namespace {

constexpr std::chrono::seconds kLong{20};
constexpr std::chrono::seconds kNow{0};

Process start(std::vector<std::string> argv) {
  auto process = Process::spawn({.argv = std::move(argv), .environment = own_environment()});
  if (!process.ok()) {
    ADD_FAILURE() << process.error().message;
    std::abort();
  }
  return std::move(*process);
}

/// A child that runs until it is ended.
class Sleeper {
 public:
  Sleeper() : process_(start({"/bin/sleep", "600"})) {}
  ~Sleeper() { end(); }
  Process& process() { return process_; }
  void end() {
    if (ended_) return;
    ended_ = true;
    EXPECT_TRUE(process_.signal(SIGKILL).ok());
    EXPECT_TRUE(process_.ended(kLong));
    process_.reap();
  }

 private:
  Process process_;
  bool ended_ = false;
};

class PidFile : public ::testing::Test {
 protected:
  PidFile() {
    std::string name = "/tmp/mr-cli-test-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    path_ = directory_ + "/d.pid";
  }
  ~PidFile() override { std::filesystem::remove_all(directory_); }
  std::vector<std::string> lines() const {
    std::ifstream file(path_);
    std::vector<std::string> out;
    for (std::string line; std::getline(file, line);) out.push_back(line);
    return out;
  }
  void write(const std::vector<std::string>& lines) const {
    std::ofstream file(path_);
    for (const std::string& line : lines) file << line << '\n';
  }
  std::string directory_, path_;
};

TEST(Process, TellsHowAChildEnded) {
  struct Row {
    const char* script;
    int status;
    const char* text;
  };
  for (const Row& row : {Row{"exit 0", 0, "exit status 0"}, Row{"exit 7", 7, "exit status 7"},
                         Row{"kill -9 $$", 137, "signal 9 (Killed)"}}) {
    SCOPED_TRACE(row.script);
    Process process = start({"/bin/sh", "-c", row.script});
    ASSERT_TRUE(process.ended(kLong));
    const Process::End end = process.reap();
    EXPECT_EQ(end.status, row.status);
    EXPECT_EQ(end.text, row.text);
  }
}

TEST(Process, AProgramThatIsNotThereIsAnErrorOfSpawn) {
  const auto process = Process::spawn({.argv = {"/nonexistent/program"}, .environment = {}});
  ASSERT_FALSE(process.ok());
  EXPECT_EQ(process.error().code, net::ErrorCode::kNotFound);
  EXPECT_EQ(process.error().message, "/nonexistent/program: cannot be started: No such file or directory");
}

TEST(Process, AChildHasNoSignalMaskOfItsParent) {
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  Process process = start({"/bin/sleep", "600"});
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(process.signal(SIGTERM).ok());
  ASSERT_TRUE(process.ended(kLong));
  EXPECT_EQ(process.reap().status, 128 + SIGTERM);
}

TEST(Process, ASignalToAnEndedProcessIsNoError) {
  Process process = start({"/bin/true"});
  ASSERT_TRUE(process.ended(kLong));
  process.reap();
  EXPECT_TRUE(process.signal(SIGTERM).ok());
}

TEST_F(PidFile, FindsTheProcessItNames) {
  Sleeper sleeper;
  ASSERT_TRUE(write_pid_file(path_, sleeper.process(), "/etc/a.yaml").ok());
  EXPECT_EQ(lines().front(), std::to_string(sleeper.process().pid()));
  const auto entry = read_pid_file(path_);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->process.pid(), sleeper.process().pid());
  EXPECT_EQ(entry->config_file, "/etc/a.yaml");
}

TEST_F(PidFile, IsVoidOnceTheProcessEnded) {
  Sleeper sleeper;
  ASSERT_TRUE(write_pid_file(path_, sleeper.process(), "").ok());
  sleeper.end();
  EXPECT_FALSE(read_pid_file(path_));
}

TEST_F(PidFile, IsVoidForAZombie) {
  Process process = start({"/bin/true"});
  ASSERT_TRUE(write_pid_file(path_, process, "").ok());
  ASSERT_TRUE(process.ended(kLong));
  EXPECT_FALSE(read_pid_file(path_));
  process.reap();
}

// The id is in use, by somebody else: the case in which a plain pid file ends the wrong process.
TEST_F(PidFile, IsVoidForAnotherProcessWithTheSameId) {
  Sleeper stranger;
  ASSERT_TRUE(write_pid_file(path_, stranger.process(), "").ok());
  auto changed = lines();
  changed[1] = std::to_string(stranger.process().start_ticks() - 1);
  write(changed);
  EXPECT_FALSE(read_pid_file(path_));
  EXPECT_FALSE(stranger.process().ended(kNow));
}

TEST_F(PidFile, IsVoidAfterARestartOfTheMachine) {
  Sleeper sleeper;
  ASSERT_TRUE(write_pid_file(path_, sleeper.process(), "").ok());
  auto changed = lines();
  changed[2] = "00000000-0000-0000-0000-000000000000";
  write(changed);
  EXPECT_FALSE(read_pid_file(path_));
}

TEST_F(PidFile, IsVoidWhenTornOrForeign) {
  EXPECT_FALSE(read_pid_file(path_));
  for (const std::vector<std::string>& content : {std::vector<std::string>{},
                                                  {"1"},
                                                  {"abc", "1", "x", ""},
                                                  {"-1", "1", "x", ""},
                                                  {"99999999999999", "1", "x", ""}}) {
    write(content);
    EXPECT_FALSE(read_pid_file(path_));
  }
}

// The daemon's side is the real one: READY counts for the process that said it.
TEST(ReadySocket, TakesReadyFromWhoSaidIt) {
  auto socket = ReadySocket::open();
  ASSERT_TRUE(socket.ok()) << socket.error().message;
  EXPECT_FALSE(socket->take());
  ::setenv("NOTIFY_SOCKET", socket->address().c_str(), 1);
  api::notify_service_manager("STATUS=2 workers");
  api::notify_service_manager("STATUS=x\nREADY=1");
  api::notify_service_manager("READY=10");
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_FALSE(socket->take());
  EXPECT_EQ(socket->take(), ::getpid());
  EXPECT_FALSE(socket->take());
  EXPECT_FALSE(socket->take());
}

}  // namespace
}  // namespace millrace::control::cli
