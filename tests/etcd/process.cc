#include "tests/etcd/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>

namespace millrace::control::etcd {
namespace {

pid_t spawn(std::vector<std::string> command, const std::string& output_file) {
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(error, 0) << arguments[0];
  return pid;
}

}  // namespace

Process::Process(const std::vector<std::string>& command, const std::string& output_file) : pid_(0) {
  std::vector<std::string> bound = {"setpriv", "--pdeathsig", "KILL"};
  bound.insert(bound.end(), command.begin(), command.end());
  pid_ = spawn(std::move(bound), output_file);
}

Process::~Process() { kill(); }

void Process::signal(int number) { EXPECT_EQ(::kill(pid_, number), 0); }

void Process::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

std::pair<int, std::string> run(const std::vector<std::string>& command) {
  char name[] = "/tmp/etcd-test-output-XXXXXX";
  const int file = mkstemp(name);
  close(file);
  const pid_t pid = spawn(command, name);
  int status = 0;
  waitpid(pid, &status, 0);
  std::string text = read_text(name);
  unlink(name);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128, std::move(text)};
}

std::string must_run(const std::vector<std::string>& command) {
  auto [code, text] = run(command);
  EXPECT_EQ(code, 0) << command[0] << ": " << text;
  return text;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace millrace::control::etcd
