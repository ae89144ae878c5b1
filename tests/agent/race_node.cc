// One node of cluster_race_test, a process of its own so that it can be killed at any instruction: adds and deletes
// pods at random and appends to a history that all nodes share.
//
// History: one line a write(2) to a file opened with O_APPEND, so that lines of all nodes stand in one order:
//          "block+ NODE PREFIX" before an address of the block is used, "block- NODE PREFIX" after the last one;
//          "address+ NODE ADDRESS" after a pod got it, "address- NODE ADDRESS" before a pod gives it back;
//          "releasing NODE PREFIX": a block that the disk forbids to the node that starts; the one before it may have
//          been killed before its "block-";
//          "up NODE" when it has joined, "error NODE TEXT" for what may never be.
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "tests/agent/chance.h"
#include "tests/agent/cluster_node.h"

namespace millrace::control::agent {
namespace {

using std::chrono::milliseconds;

/// More than the blocks of a fair share hold: the pool runs out, and blocks have to go round.
constexpr std::uint32_t kMostPods = 16;
constexpr milliseconds kTimeout{800};

/// Waits so long, or until it is asked to end: SIGTERM, which main() blocks.
bool is_ended_within(milliseconds duration) {
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  const timespec limit{seconds.count(), std::chrono::nanoseconds(duration - seconds).count()};
  return sigtimedwait(&end, nullptr, &limit) > 0;
}

class History {
 public:
  History(const char* path, std::string node)
      : fd_(open(path, O_WRONLY | O_APPEND | O_CLOEXEC)), node_(std::move(node)) {}
  void write(const char* what, const std::string& about) const {
    const std::string line = fmt::format("{} {} {}\n", what, node_, about);
    if (::write(fd_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::abort();
  }

 private:
  const int fd_;
  const std::string node_;
};

class Racer {
 public:
  Racer(ClusterNode& node, const History& history, std::uint32_t seed)
      : node_(node), history_(history), chance_(seed), prefix_(fmt::format("{}-{}", seed, getpid())) {}

  /// What the disk has.
  void tell_what_is_there() {
    const auto claims = node_.store->claimed_blocks();
    if (!claims) return history_.write("error", claims.error().message);
    for (const ClaimedBlock& claim : *claims) {
      if (claim.state == ClaimState::kReleasing) history_.write("releasing", claim.block.to_string());
    }
    for (const std::string& block : node_.block_names()) history_.write("block+", block);
    node_.blocks.set_on_change([this](const AddressBlock& block, bool is_there) {
      history_.write(is_there ? "block+" : "block-", block.block().to_string());
    });
    auto attachments = node_.store->list();
    if (!attachments) return history_.write("error", attachments.error().message);
    for (const Attachment& pod : *attachments) keep(pod);
  }
  /// False: it was asked to end meanwhile.
  bool join() {
    while (true) {
      auto joined = node_.membership->join();
      if (joined) break;
      if (joined.error().code == net::ErrorCode::kFailedPrecondition) history_.write("error", joined.error().message);
      if (is_ended_within(milliseconds(100))) return false;
    }
    node_.start();
    history_.write("up", "");
    return true;
  }
  /// Adds or deletes a pod, and waits a moment. False: it was asked to end.
  bool step() {
    // From many to few and back: blocks are full here and empty there.
    if (chance_.one_in(60)) most_ = chance_.one_in(2) ? chance_.below(3) : kMostPods;
    if (pods_.size() < most_) {
      add();
    } else if (!pods_.empty()) {
      remove();
    }
    return !is_ended_within(milliseconds(chance_.below(5)));
  }

 private:
  void keep(const Attachment& pod) {
    pods_.push_back(pod);
    for (const net::IpAddress& address : pod.addresses) history_.write("address+", address.to_string());
  }
  void add() {
    auto added = node_.add(fmt::format("{}-{}", prefix_, count_++));
    if (added) return keep(*added);
    const net::ErrorCode code = added.error().code;
    const bool may_be = code == net::ErrorCode::kResourceExhausted || code == net::ErrorCode::kUnavailable ||
                        code == net::ErrorCode::kDeadlineExceeded;
    if (!may_be) return history_.write("error", added.error().message);
    most_ = chance_.below(3);
  }
  void remove() {
    std::swap(pods_[chance_.below(static_cast<std::uint32_t>(pods_.size()))], pods_.back());
    for (const net::IpAddress& address : pods_.back().addresses) history_.write("address-", address.to_string());
    auto removed = node_.remove(pods_.back().id);
    if (!removed) history_.write("error", removed.error().message);
    pods_.pop_back();
  }

  ClusterNode& node_;
  const History& history_;
  Chance chance_;
  const std::string prefix_;
  std::uint32_t count_ = 0, most_ = kMostPods;
  std::vector<Attachment> pods_;
};

int run(const std::vector<std::string>& words) {
  const std::string &name = words[1], &endpoint = words[2], &directory = words[3], &mode = words[5];
  const History history(words[4].c_str(), name);
  ClusterNode node(cluster_config(name, {endpoint}), directory, kTimeout);
  if (!node.error.empty()) {
    history.write("error", node.error);
    return 1;
  }
  Racer racer(node, history, static_cast<std::uint32_t>(std::stoul(words[6])));
  racer.tell_what_is_there();
  if (racer.join()) {
    while (mode == "race" ? racer.step() : !is_ended_within(std::chrono::hours(1))) {}
  }
  node.membership->stop();
  history.write("ended", "");
  return 0;
}

}  // namespace
}  // namespace millrace::control::agent

int main(int count, char** words) {
  if (count != 7) {
    std::fputs("usage: race_node NAME ENDPOINT DIRECTORY HISTORY race|look SEED\n", stderr);
    return 2;
  }
  spdlog::flush_on(spdlog::level::info);  // it is killed
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &end, nullptr);  // before there is another thread
  return millrace::control::agent::run({words, words + count});
}
