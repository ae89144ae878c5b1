#include "cni-shim/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "cni-shim/deadline.h"
#include "cni-shim/text.h"
#include "cni-shim/unique_fd.h"

namespace millrace::cni_shim {
namespace {

CniError io_failure(const std::string& program, const std::string& what) {
  return {CniCode::kIoFailure, "plugin " + shown(program) + " " + what, ""};
}

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

bool open_pipe(Pipe& pipe) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
  pipe.read_end = UniqueFd(ends[0]);
  pipe.write_end = UniqueFd(ends[1]);
  return true;
}

void make_nonblocking(const UniqueFd& fd) { ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK); }

int spawn(const std::string& program, const std::vector<std::string>& environment, const Pipe& in, const Pipe& out,
          pid_t& pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, in.read_end.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.write_end.get(), STDOUT_FILENO);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);

  std::string name = program;
  std::array<char*, 2> arguments = {name.data(), nullptr};
  std::vector<std::string> variables = environment;
  std::vector<char*> pointers;
  pointers.reserve(variables.size() + 1);
  for (std::string& variable : variables) pointers.push_back(variable.data());
  pointers.push_back(nullptr);
  const int error = posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments.data(), pointers.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

/// The running child: its pipes are pumped until it has ended and its output is read.
class Child {
 public:
  Child(const std::string& program, pid_t pid, UniqueFd in, UniqueFd out, std::string_view text)
      : program_(program), pid_(pid), in_(std::move(in)), out_(std::move(out)), text_(text) {
    make_nonblocking(in_);
    make_nonblocking(out_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }

  CniResult<ChildOutcome> pump(const Deadline& deadline) {
    // <sys/pidfd.h> of glibc 2.36 forgets extern "C".
    const UniqueFd ended(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!ended) return io_failure(program_, std::string("cannot be waited for: ") + std::strerror(errno));
    while (true) {
      std::array<pollfd, 3> fds = {{{in_.get(), POLLOUT, 0}, {out_.get(), POLLIN, 0}, {ended.get(), POLLIN, 0}}};
      const int ready = ::poll(fds.data(), fds.size(), deadline.remaining_ms());
      if (ready < 0 && errno == EINTR) continue;
      if (ready == 0) return io_failure(program_, "was still running at its deadline and was killed");
      if (fds[0].revents != 0) write_some();
      // An end first: all the child wrote is in the pipe by then, though a process it left behind may hold it open.
      if (fds[1].revents != 0 || fds[2].revents != 0) read_available();
      if (outcome_.output.size() > kMaxChildOutputBytes) {
        return io_failure(program_, "wrote more than " + std::to_string(kMaxChildOutputBytes) + " bytes");
      }
      if (fds[2].revents != 0) {
        outcome_.exit_status = wait();
        return std::move(outcome_);
      }
    }
  }

 private:
  void write_some() {
    const ssize_t count = ::write(in_.get(), text_.data(), text_.size());
    if (count > 0) text_.remove_prefix(static_cast<std::size_t>(count));
    const bool closed = count < 0 && errno != EAGAIN && errno != EINTR;  // the child reads no more: its affair
    if (text_.empty() || closed) in_.reset();
  }

  void read_available() {
    std::array<char, 4096> buffer;
    while (out_ && outcome_.output.size() <= kMaxChildOutputBytes) {
      const ssize_t count = ::read(out_.get(), buffer.data(), buffer.size());
      if (count < 0) return;
      if (count == 0) return out_.reset();
      outcome_.output.append(buffer.data(), static_cast<std::size_t>(count));
    }
  }

  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
    pid_ = 0;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

  const std::string& program_;
  pid_t pid_;
  UniqueFd in_;
  UniqueFd out_;
  std::string_view text_;
  ChildOutcome outcome_;
};

}  // namespace

CniResult<ChildOutcome> run_child(const std::string& program, const std::vector<std::string>& environment,
                                  std::string_view stdin_text, std::chrono::milliseconds timeout) {
  const Deadline deadline(timeout);
  Pipe in;
  Pipe out;
  if (!open_pipe(in) || !open_pipe(out)) {
    return io_failure(program, std::string("gets no pipe: ") + std::strerror(errno));
  }
  pid_t pid = 0;
  if (const int error = spawn(program, environment, in, out, pid); error != 0) {
    return io_failure(program, std::string("cannot be started: ") + std::strerror(error));
  }
  in.read_end.reset();
  out.write_end.reset();
  Child child(program, pid, std::move(in.write_end), std::move(out.read_end), stdin_text);
  return child.pump(deadline);
}

}  // namespace millrace::cni_shim
