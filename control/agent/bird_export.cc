#include "control/agent/bird_export.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "control/agent/bird_control.h"

namespace millrace::control::agent {
namespace {

net::Error failed(const std::string& path) {
  return net::unavailable(fmt::format("{}: {}", path, std::strerror(errno)));
}

/// Readable for everybody: BIRD is another user.
net::Result<void> write_whole(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return failed(path);
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = write(fd, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;
    done += static_cast<std::size_t>(count);
  }
  const bool is_written = done == text.size() && fchmod(fd, 0644) == 0 && fsync(fd) == 0;
  const net::Error error = failed(path);
  close(fd);
  if (!is_written) return error;
  return {};
}

}  // namespace

std::string bird_config(const std::string& node_name, const std::set<net::Prefix>& blocks) {
  std::string text = fmt::format(
      "# Made by millrace-agent of node {}, which replaces it when the node's blocks of pods' addresses change.\n",
      node_name);
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    text += fmt::format(
        "\nipv{0} table millrace{0};\nprotocol static millrace_blocks{0} {{\n  ipv{0} {{ table millrace{0}; }};\n",
        family);
    for (const net::Prefix& block : blocks) {
      if (block.address.family == family) text += fmt::format("  route {} blackhole;\n", block.to_string());
    }
    text += "}\n";
  }
  return text;
}

net::Result<bool> replace_file(const std::string& path, const std::string& text) {
  {
    std::ifstream file(path, std::ios::binary);
    const std::string before{std::istreambuf_iterator<char>(file), {}};
    if (file.is_open() && before == text) return false;
  }
  const std::string aside = path + ".new";
  if (auto written = write_whole(aside, text); !written) return written.error();
  if (std::rename(aside.c_str(), path.c_str()) == 0) return true;
  const net::Error error = failed(path);
  unlink(aside.c_str());
  return error;
}

BirdExport::BirdExport(std::string node_name, std::string config_file, std::string control_socket,
                       std::set<net::Prefix> blocks)
    : node_name_(std::move(node_name)),
      config_file_(std::move(config_file)),
      control_socket_(std::move(control_socket)),
      blocks_(std::move(blocks)),
      thread_([this] { run(); }) {}

BirdExport::~BirdExport() {
  {
    const std::lock_guard guard(mutex_);
    is_stopped_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void BirdExport::set(const net::Prefix& block, bool is_there) {
  {
    const std::lock_guard guard(mutex_);
    if (is_there) {
      blocks_.insert(block);
    } else {
      blocks_.erase(block);
    }
    is_new_ = true;
  }
  changed_.notify_all();
}

void BirdExport::run() {
  std::unique_lock guard(mutex_);
  const auto has_work = [this] { return is_stopped_ || is_new_; };
  bool is_done = true;
  while (true) {
    if (is_done) {
      changed_.wait(guard, has_work);
    } else {
      changed_.wait_for(guard, kPause, has_work);
    }
    if (is_stopped_) return;
    is_new_ = false;
    const std::set<net::Prefix> blocks = blocks_;
    guard.unlock();
    const auto done = write_and_tell(blocks);
    const std::string problem = done ? "" : done.error().message;
    if (!problem.empty() && problem != problem_) spdlog::warn("bird: {}; it is tried again", problem);
    problem_ = problem;
    is_done = done.ok();
    guard.lock();
  }
}

net::Result<void> BirdExport::write_and_tell(const std::set<net::Prefix>& blocks) {
  auto replaced = replace_file(config_file_, bird_config(node_name_, blocks));
  if (!replaced) return replaced.error();
  if (*replaced) is_told_ = false;
  if (is_told_ || control_socket_.empty()) return {};
  if (auto told = tell_bird_to_configure(control_socket_, kAnswerTimeout); !told) return told;
  is_told_ = true;
  return {};
}

}  // namespace millrace::control::agent
